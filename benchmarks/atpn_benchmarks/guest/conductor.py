"""Every file in a process of its own, all timed in shuffled rounds, each sample told at once.

What is told goes to standard output, one JSON object a line: a host that loses the connection
keeps what it has heard.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atpn_benchmarks.guest import facts
from atpn_benchmarks.guest.core_clock import core_clock
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest.process import WorkerError, WorkerProcess
from atpn_benchmarks.guest.worker import timer_overhead_s

Tell = Callable[[dict[str, Any]], None]

#: Of what is asked for, so that some may be preempted and the rest are still enough.
SPARE = 1.25
#: A process that holds a file is started only while so much memory is left.
FREE_BYTES = 200 * 2**20
#: Seconds of running before the first sample, beside the number of calls.
WARM_S = 0.1


@dataclass(frozen=True, eq=False)
class Runner:
    """A file that is open on a number of threads, and how many calls it makes a round."""

    entry: Entry
    threads: int
    worker: WorkerProcess
    burst: int
    call_s: float


class Conductor:
    """One job from its first line to its last."""

    def __init__(self, job: Job, command: Sequence[str], tell: Tell) -> None:
        self._job = job
        self._command = command
        self._tell = tell
        self._cores = tuple(job.cores or facts.default_cores(max(job.threads)))
        self._modules: dict[str, list[str]] = {}  # by suffix: what its runtime imports

    def perform(self) -> None:
        """Open, verify, time; tell everything."""
        self._tell(
            {
                "event": "begin",
                "machine": facts.machine(),
                "cores": list(self._cores),
                "conditions": facts.conditions(self._cores),
                "timer_overhead_s": timer_overhead_s(),
            }
        )
        if self._job.peaks:
            self._measure_peaks()
        with contextlib.ExitStack() as stack:
            runners = self._opened(stack)
            before, spent = core_clock(self._cores), _spent_s(runners)
            self._time(runners)
            load = core_clock(self._cores).load_since(before, _spent_s(runners) - spent)
        self._tell(
            {
                "event": "end",
                "conditions": facts.conditions(self._cores),
                "competing_load": load,
            }
        )

    def _measure_peaks(self) -> None:
        """In a process of its own: it fills memory with large arrays."""
        with WorkerProcess(self._command, self._cores[:1], 1) as worker:
            try:
                self._tell({"event": "peaks", **worker.ask("peaks", files=list(self._job.peaks))})
            except WorkerError as error:
                self._tell({"event": "problem", "reason": f"the core's peaks: {error}"})

    def _opened(self, stack: contextlib.ExitStack) -> list[Runner]:
        """Every file on every number of threads, those that fail told and left out."""
        runners = []
        for number, entry in enumerate(self._job.entries):
            self._tell({"event": "opening", "name": entry.name, "number": number})
            for index, threads in enumerate(self._job.threads):
                if 0 < facts.free_memory() < FREE_BYTES:
                    self._fail(entry, "not run", "the device's memory is full; give fewer files")
                    break
                worker = self._worker(entry, threads)
                try:
                    runner = self._open(worker, entry, threads, verify=index == 0)
                except WorkerError as error:
                    worker.close()
                    self._fail(entry, "failed", str(error))
                    break
                if runner is None:
                    worker.close()
                    break
                stack.enter_context(worker)
                runners.append(runner)
        return runners

    def _worker(self, entry: Entry, threads: int) -> WorkerProcess:
        return WorkerProcess(self._command, self._cores[:threads], threads)

    def _open(
        self, worker: WorkerProcess, entry: Entry, threads: int, *, verify: bool
    ) -> Runner | None:
        """Open, hold against the reference, warm; None for a file that is off."""
        idle = worker.ask("preload", modules=self._runtime_modules(entry, threads))
        arguments = {"entry": asdict(entry), "threads": threads, "runtime": self._job.runtime}
        opened = worker.ask("open", **arguments)
        del opened["modules"]
        self._tell({"event": "open", "name": entry.name, "threads": threads, **opened, **idle})
        if verify and entry.expected:
            found = worker.ask(
                "verify",
                images=self._job.images,
                faces=list(self._job.faces),
                expected=entry.expected,
            )
            self._tell({"event": "drift", "name": entry.name, **found})
            if found["complaint"]:
                return None
        call_s = worker.ask("warm", calls=self._job.warmup, seconds=WARM_S)["median_s"]
        calls = max(self._job.samples, self._job.seconds / call_s) * SPARE
        burst = math.ceil(calls / self._job.rounds)
        return Runner(entry, threads, worker, burst, call_s)

    def _runtime_modules(self, entry: Entry, threads: int) -> list[str]:
        """What opening a file of this format imports, found once by opening one."""
        suffix = Path(entry.path).suffix
        if suffix not in self._modules:
            with self._worker(entry, threads) as scout:
                arguments = {"entry": asdict(entry), "threads": threads}
                opened = scout.ask("open", **arguments, runtime=self._job.runtime)
            self._modules[suffix] = opened["modules"]
        return self._modules[suffix]

    def _time(self, runners: list[Runner]) -> None:
        """Rounds, each through all files in an order of its own.

        Where calls turn out quicker than while warming up, as many rounds again make up for it.
        """
        rounds = self._job.rounds
        seconds = rounds * sum(runner.burst * runner.call_s for runner in runners)
        self._tell({"event": "timing", "seconds": seconds, "rounds": rounds})
        shuffle = random.Random(self._job.seed).shuffle
        left = {runner: self._job.seconds for runner in runners}
        for number in range(2 * rounds):
            if number >= rounds and not any(seconds > 0 for seconds in left.values()):
                break
            order = list(left)
            shuffle(order)
            for runner in order:
                try:
                    # What the file before has thrown out of the caches comes back in one call.
                    runner.worker.ask("warm", calls=1, seconds=0.0)
                    samples = runner.worker.ask("burst", count=runner.burst)
                except WorkerError as error:
                    del left[runner]
                    self._fail(runner.entry, "failed", f"while it was timed: {error}")
                    continue
                left[runner] -= 1e-9 * sum(samples["wall_ns"])
                self._tell({"event": "burst", **_key(runner), **samples})
            self._tell({"event": "round", "number": number + 1})
        for runner in left:
            memory = runner.worker.ask("memory")
            self._tell({"event": "memory", **_key(runner), **memory})

    def _fail(self, entry: Entry, state: str, reason: str) -> None:
        self._tell({"event": "failed", "name": entry.name, "state": state, "reason": reason})


def _spent_s(runners: list[Runner]) -> float:
    """Processor seconds of all workers."""
    return sum(runner.worker.cpu_s() for runner in runners)


def _key(runner: Runner) -> dict[str, Any]:
    return {"name": runner.entry.name, "threads": runner.threads, "per_round": runner.burst}
