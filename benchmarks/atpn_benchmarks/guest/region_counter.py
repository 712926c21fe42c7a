"""Every file in a process of its own, one after the other, its inferences marked to be counted.

It runs under an emulator that counts instructions; nothing is timed. Told like a timing, by one
JSON object a line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from atpn_benchmarks.guest import facts
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest.process import WorkerError, WorkerProcess

Tell = Callable[[dict[str, Any]], None]

#: Regions of a file: two, so that one can be held against the other.
REGIONS = 2
#: An emulated inference takes up to a minute where the caches are simulated.
PATIENCE_S = 900.0
#: Of the parity limits, those that hold on a few crops too.
STATISTICS = ["max"]


class RegionCounter:
    """One job from its first line to its last."""

    def __init__(self, job: Job, command: Sequence[str], tell: Tell) -> None:
        self._job = job
        self._command = command
        self._tell = tell

    def perform(self) -> None:
        """Open, hold against the reference, mark; tell everything."""
        self._tell({"event": "begin", "machine": facts.machine()})
        for number, entry in enumerate(self._job.entries):
            self._tell({"event": "opening", "name": entry.name, "number": number})
            try:
                with WorkerProcess(self._command, (), 1, PATIENCE_S) as worker:
                    self._count(entry, worker)
            except WorkerError as error:
                self._tell(
                    {
                        "event": "failed",
                        "name": entry.name,
                        "state": "failed",
                        "reason": str(error),
                    }
                )
        self._tell({"event": "end"})

    def _count(self, entry: Entry, worker: WorkerProcess) -> None:
        opened = worker.ask("open", entry=asdict(entry), threads=1, runtime=self._job.runtime)
        opened = {key: opened[key] for key in ("runtime", "kernel_family")}
        self._tell({"event": "open", "name": entry.name, "threads": 1, **opened})
        if entry.expected:
            found = worker.ask(
                "verify",
                images=self._job.images,
                faces=list(self._job.faces),
                expected=entry.expected,
                statistics=STATISTICS,
            )
            self._tell({"event": "drift", "name": entry.name, **found})
            if found["complaint"]:
                return
        worker.ask("warm", calls=self._job.warmup, seconds=0.0)
        regions = worker.ask("regions", count=REGIONS)
        self._tell({"event": "regions", "name": entry.name, **regions})
