"""Every file in a process of its own, one after the other: counted, or its outputs taken.

Told like a timing, by one JSON object a line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atpn_benchmarks.guest import facts
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest.process import WorkerError, WorkerProcess

Tell = Callable[[dict[str, Any]], None]

#: Regions of a file: two, so that one can be held against the other.
REGIONS = 2
#: An emulated inference takes up to a minute where the caches are simulated.
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Place:
    """One file of a job, open in its worker."""

    number: int
    entry: Entry
    worker: WorkerProcess


class OneByOne:
    """One job from its first line to its last."""

    def __init__(self, job: Job, command: Sequence[str], tell: Tell) -> None:
        self._job = job
        self._command = command
        self._tell = tell

    def perform(self, do: Callable[[Job, Place, Tell], None]) -> None:
        """Open each and do that; tell everything."""
        self._tell({"event": "begin", "machine": facts.machine()})
        for number, entry in enumerate(self._job.entries):
            self._tell({"event": "opening", "name": entry.name, "number": number})
            try:
                with WorkerProcess(self._command, (), 1, PATIENCE_S) as worker:
                    self._open(entry, worker)
                    do(self._job, Place(number, entry, worker), self._tell)
            except WorkerError as error:
                failed = {"state": "failed", "reason": str(error)}
                self._tell({"event": "failed", "name": entry.name, **failed})
        self._tell({"event": "end"})

    def _open(self, entry: Entry, worker: WorkerProcess) -> None:
        opened = worker.ask("open", entry=asdict(entry), threads=1, runtime=self._job.runtime)
        told = {key: opened[key] for key in ("runtime", "kernel_family")}
        self._tell({"event": "open", "name": entry.name, "threads": 1, **told})


def count(job: Job, place: Place, tell: Tell) -> None:
    """Mark inferences for the emulator, which counts them; then one operator by operator."""
    place.worker.ask("warm", calls=job.warmup, seconds=0.0)
    regions = place.worker.ask("regions", count=REGIONS)
    tell({"event": "regions", "name": place.entry.name, **regions})
    if place.entry.alone:
        told = place.worker.ask("operators", path=place.entry.alone, tag=regions["tags"][-1] + 1)
        tell({"event": "operators", "name": place.entry.name, **told})


def take_outputs(job: Job, place: Place, tell: Tell) -> None:
    """Run the golden crops and keep all that comes out of them."""
    file = f"outputs-{place.number}.npz"
    told = place.worker.ask("outputs", images=job.images, to=file)
    tell({"event": "outputs", "name": place.entry.name, "file": file, **told})
