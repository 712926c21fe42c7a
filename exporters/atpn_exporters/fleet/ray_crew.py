"""Workers on the machines of a Ray cluster."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atpn_deploy.errors import AtpnError, FleetError, MissingToolError
from atpn_exporters.fleet.job import (
    Died,
    Event,
    Finished,
    Frames,
    Job,
    Outcome,
    Setup,
    VideoTracker,
)
from atpn_exporters.fleet.worker import perform

if TYPE_CHECKING:
    from ray import ObjectRef

#: Starts a cluster of this machine alone, which ends with the run.
LOCAL = "local"
#: What a local cluster shares in memory: next to nothing, for frames never leave their worker.
STORE_BYTES = 80 * 1024 * 1024
#: How often the workers are asked how far they are.
ASK_S = 1.0
#: So many workers in a row that end before they are ready mean that none ever will be.
STILLBORN = 3


@dataclass
class _Worker:
    actor: Any
    awaited: ObjectRef[Any]  # the answer of `open`, or the outcome of the job
    ready: bool = False
    job: Job | None = None


class RayCrew:
    """A `Crew` of Ray actors, each with one processor, a session and one video at a time."""

    def __init__(self, address: str, size: int | None, most: int, setup: Setup) -> None:
        """Join the cluster at `address`: `local`, `auto` (one that runs here) or HOST:PORT.

        `size` workers, or as many as the cluster has processors, but no more than `most`. More
        than it has now wait until it grows. Raises FleetError where there is no cluster and
        MissingToolError without Ray.
        """
        self._ray = _require_ray()
        # Not in TMPDIR: the paths of sockets, which Ray puts there, have a longest length.
        prefix = f"atpn-ray-{os.getpid()}-"
        self._folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp") if address == LOCAL else ""
        self._asked_s = 0.0
        self._stillborn = 0
        self._join(address, size)
        try:
            self.size = min(most, size or max(1, int(self._ray.cluster_resources().get("CPU", 1))))
            self._setup = self._ray.put(setup)
            self._board = self._ray.remote(num_cpus=0)(_Board).remote()
            self._workers = [self._start() for _ in range(self.size)]
        except BaseException:
            self.__exit__()
            raise

    @property
    def idle(self) -> int:
        """How many wait for a job."""
        return sum(worker.ready and worker.job is None for worker in self._workers)

    def give(self, job: Job) -> None:
        """Hand a job to an idle worker."""
        worker = next(w for w in self._workers if w.ready and w.job is None)
        worker.job = job
        worker.awaited = worker.actor.perform.remote(job, self._board)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What happened since; FleetError where the workers can't open what they need."""
        waiting = {w.awaited: w for w in self._workers if not w.ready or w.job is not None}
        answered, _ = self._ray.wait(list(waiting), num_returns=1, timeout=timeout_s)
        events = [event for ref in answered for event in self._hear(waiting[ref])]
        return [*self._progress(), *events]

    def _hear(self, worker: _Worker) -> Iterator[Event]:
        from ray.exceptions import RayError

        try:
            answer: str | Outcome = self._ray.get(worker.awaited)
        except RayError as error:  # the actor or its machine is gone, or its code is broken
            yield from self._bury(worker, _one_line(error))
            return
        if isinstance(answer, Outcome):
            worker.job = None
            yield Finished(answer)
        elif answer:
            raise FleetError(answer)
        else:
            worker.ready, self._stillborn = True, 0

    def _bury(self, worker: _Worker, reason: str) -> Iterator[Event]:
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise FleetError(f"no worker comes up: {reason}")
        self._ray.kill(worker.actor)  # an actor whose code raised still lives
        self._workers[self._workers.index(worker)] = self._start()
        if worker.job is not None:
            yield Died(worker.job.number, reason)

    def _progress(self) -> Iterator[Event]:
        """What the workers have told, now and then; of jobs that are still going on."""
        from ray.exceptions import RayError

        if time.monotonic() - self._asked_s < ASK_S:
            return
        self._asked_s = time.monotonic()
        going_on = {worker.job.number for worker in self._workers if worker.job is not None}
        try:
            told: list[Frames] = self._ray.get(self._board.read.remote(), timeout=10 * ASK_S)
        except RayError:  # nobody needs it but the bar
            return
        yield from (frames for frames in told if frames.number in going_on)

    def _start(self) -> _Worker:
        actor = self._ray.remote(num_cpus=1, max_restarts=0)(_Actor).remote(self._setup)
        return _Worker(actor, actor.open.remote())

    def _join(self, address: str, size: int | None) -> None:
        own: dict[str, Any] = {}
        if address == LOCAL:
            own = {
                "num_cpus": size,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": self._folder,
            }
        try:
            with _quiet():
                self._ray.init(
                    address=address, log_to_driver=False, logging_level=logging.ERROR, **own
                )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            self.__exit__()
            raise FleetError(
                f"no Ray cluster at {address}: {_one_line(error)}; start one with `ray start "
                "--head`, name its HOST:PORT, or give --ray local for this machine alone"
            ) from error

    def __enter__(self) -> RayCrew:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in getattr(self, "_workers", ()):
            self._ray.kill(worker.actor)
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Actor:
    """A worker, in a process of Ray's."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def open(self) -> str:
        """Open what is needed; why that can't be, or nothing."""
        try:
            self._tracker: VideoTracker = self._setup.open()
        except AtpnError as error:
            return str(error) or type(error).__name__
        return ""

    def perform(self, job: Job, board: Any) -> Outcome:
        """Track a video."""
        return perform(self._tracker, job, lambda frames: board.tell.remote(frames))


class _Board:
    """Where workers tell how far they are; Ray has no word from a task before its end."""

    def __init__(self) -> None:
        self._told: dict[int, Frames] = {}

    def tell(self, frames: Frames) -> None:
        """Replace what was said of the same job."""
        self._told[frames.number] = frames

    def read(self) -> list[Frames]:
        """What was told since the last time."""
        told, self._told = list(self._told.values()), {}
        return told


def _require_ray() -> Any:
    """The module; its functions are not typed."""
    try:
        import ray
    except ImportError as error:
        raise MissingToolError(
            "many machines need Ray: pip install -c constraints.txt 'atpn-deploy[ray]'"
        ) from error
    if ray.is_initialized():
        raise FleetError("Ray is in use in this process already; shut it down first")
    return ray


@contextmanager
def _quiet() -> Iterator[None]:
    """A cluster that is started inside sends nothing to anybody."""
    name = "RAY_USAGE_STATS_ENABLED"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _one_line(error: BaseException) -> str:
    """The last line that says something: Ray's messages are pages, the cause stands last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
