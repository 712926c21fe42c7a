"""Workers as processes of this machine, by the standard library."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from atpn_deploy.errors import AtpnError, FleetError
from atpn_exporters.fleet.job import (
    Died,
    Event,
    Finished,
    Frames,
    Job,
    Ready,
    Refused,
    Setup,
)
from atpn_exporters.fleet.worker import perform

#: Fresh interpreters: forking one whose libraries run threads can hang.
_SPAWN = multiprocessing.get_context("spawn")
#: So many workers in a row that end before they are ready mean that none ever will be.
STILLBORN = 3
#: How long a worker that was told to end may take.
FAREWELL_S = 3.0


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    log: Path  # its standard error
    ready: bool = False
    job: Job | None = None


class ProcessCrew:
    """A `Crew` in which a worker that dies is replaced and takes nobody else along.

    `concurrent.futures` would end all workers when one dies, and not say whose job it was.
    """

    def __init__(self, size: int, setup: Setup) -> None:
        """Start `size` workers; they open what they need while this returns."""
        self.size = size
        self._setup = setup
        self._stillborn = 0
        self._started = 0
        self._logs = tempfile.TemporaryDirectory(prefix="atpn-track-")
        self._workers = [self._start() for _ in range(size)]

    @property
    def idle(self) -> int:
        """How many wait for a job."""
        return sum(worker.ready and worker.job is None for worker in self._workers)

    def give(self, job: Job) -> None:
        """Hand a job to an idle worker."""
        worker = next(w for w in self._workers if w.ready and w.job is None)
        worker.job = job
        try:
            worker.connection.send(job)
        except OSError:  # it has just died: `wait` will see that, and whose job it was
            pass

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What happened since; FleetError where the workers can't open what they need."""
        by_handle: dict[object, _Worker] = {}
        for worker in self._workers:
            by_handle[worker.connection] = by_handle[worker.process.sentinel] = worker
        handles = [w.connection for w in self._workers]
        signals = wait([*handles, *(w.process.sentinel for w in self._workers)], timeout_s)
        told = {id(by_handle[handle]): by_handle[handle] for handle in signals}
        return [event for worker in told.values() for event in self._hear(worker)]

    def _hear(self, worker: _Worker) -> Iterator[Event]:
        """Everything a worker has said; last, where it is gone, its replacement and its job."""
        dead = worker.process.exitcode is not None  # asked first: what it said before still comes
        try:
            while worker.connection.poll():
                yield from self._take(worker, worker.connection.recv())
        except (EOFError, OSError):
            dead = True
        if dead:
            yield from self._bury(worker)

    def _take(
        self, worker: _Worker, message: Ready | Refused | Frames | Finished
    ) -> Iterator[Event]:
        match message:
            case Refused(text):
                raise FleetError(text)
            case Ready():
                worker.ready = True
                self._stillborn = 0
            case Finished():
                worker.job = None
                yield message
            case Frames():
                yield message

    def _bury(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join(FAREWELL_S)
        reason = _cause(worker)
        worker.connection.close()
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise FleetError(f"no worker comes up: {reason}")
        self._workers[self._workers.index(worker)] = self._start()
        if worker.job is not None:
            yield Died(worker.job.number, reason)

    def _start(self) -> _Worker:
        self._started += 1
        log = Path(self._logs.name) / f"worker-{self._started}.log"
        here, there = _SPAWN.Pipe()
        process = _SPAWN.Process(target=serve, args=(there, self._setup, log), daemon=True)
        with _one_thread():
            process.start()
        there.close()  # so that its end is seen here as the end of the stream
        return _Worker(process, here, log)

    def __enter__(self) -> ProcessCrew:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.connection.close()  # an idle worker ends by itself
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(FAREWELL_S)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
        self._logs.cleanup()


def serve(connection: Connection, setup: Setup, log: Path) -> None:
    """A worker's life: open once, then one job after the other until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who handed out the jobs acts
    _end_with_parent()
    _redirect_stderr(log)
    try:
        tracker = setup.open()
    except AtpnError as error:
        connection.send(Refused(str(error)))
        return
    connection.send(Ready())
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        os.truncate(log, 0)
        connection.send(Finished(perform(tracker, job, connection.send)))


def _end_with_parent() -> None:
    """Go when the one who hands out jobs goes, killed or not, instead of finishing a lost job."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("a worker is started by its crew")

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _redirect_stderr(log: Path) -> None:
    """What decoders and runtimes print would tear the bar; a dying one's words are kept."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stderr.flush()
    os.dup2(descriptor, 2)
    os.close(descriptor)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started inside have one thread each for matrices; there are enough of them."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cause(worker: _Worker) -> str:
    """How a worker ended, and the last line that it or a library printed."""
    status = worker.process.exitcode
    if status is not None and status < 0:
        cause = f"the worker was ended by signal {-status} ({signal.strsignal(-status)})"
        if -status == signal.SIGKILL:
            cause += ", as the system ends what takes too much memory"
    else:
        cause = f"the worker ended with exit status {status}"
    try:
        lines = worker.log.read_text(errors="replace").split("\n")
    except OSError:
        return cause
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{cause}: {last}" if last else cause
