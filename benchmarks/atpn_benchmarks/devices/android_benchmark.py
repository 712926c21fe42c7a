"""A phone without Python: a job is done by TensorFlow Lite's `benchmark_model`, led from here."""

from __future__ import annotations

import hashlib
import json
import math
import random
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from atpn_benchmarks.devices import facts_there
from atpn_benchmarks.devices.benchmark_model import BenchmarkModelError, Report, command, parsed
from atpn_benchmarks.devices.device import DeviceError, Measures
from atpn_benchmarks.devices.posix_device import PosixDevice
from atpn_benchmarks.guest import facts
from atpn_benchmarks.guest.job import Entry, Job

#: Its name on the device.
PROGRAM = "benchmark_model"
#: Calls of the first look at a file.
_FIRST_CALLS = 5
#: Calls of one start at least: fewer, and starting it would take most of the time.
_LEAST_CALLS = 10
#: What a start takes beside its calls, for the time left.
_START_S = 0.3

_WHAT_A_SAMPLE_IS = (
    "benchmark_model tells the mean of the calls of one start and no more: each sample is such a "
    "mean, p95 and p99 are of them, and neither preempted calls nor competing load are seen; "
    "parity is not checked on the device"
)

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class _Runner:
    entry: Entry
    threads: int
    calls: int  # of one start
    seconds: float  # that they take


class AndroidBenchmark:
    """A `Device` that takes the guest's job and tells the guest's events, but has no Python."""

    def __init__(self, device: PosixDevice, program: Path) -> None:
        """`device` was made without Python; `program` runs on its processor."""
        self._device = device
        self._program = program
        self._files: dict[str, Path] = {}
        self._taskset = True

    @property
    def name(self) -> str:
        """As the user asked for it."""
        return self._device.name

    @property
    def measures(self) -> Measures:
        """What a run there is worth."""
        return self._device.measures

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a sample is here, and whether it was pinned."""
        said = f"{self.name}: {_WHAT_A_SAMPLE_IS}"
        return (
            (said,) if self._taskset else (said, f"{self.name} has no taskset: nothing is pinned")
        )

    @property
    def left_behind(self) -> str:
        """After `with`: what could not be removed there, in a sentence."""
        return self._device.left_behind

    def last_errors(self) -> str:
        """Nothing: the program's own words are in what it is said to have failed with."""
        return ""

    def ask(self, script: str) -> str:
        """The standard output of a short shell script."""
        return self._device.ask(script)

    def pull(self, name: str, path: Path) -> None:
        """Copy one file back."""
        self._device.pull(name, path)

    def stop(self) -> None:
        """End what runs there, from another thread."""
        self._device.stop()

    def __enter__(self) -> Self:
        if not self._program.is_file():
            raise DeviceError(
                f"{self._program} is no file: give the benchmark_model for the phone's processor "
                "(android_aarch64 mostly)"
            )
        self._device.__enter__()
        try:
            self._install()
        except BaseException as error:
            self._device.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._device.__exit__(kind, error, trace)

    def _install(self) -> None:
        """Push the program, and start it once: a folder or a processor may not take it."""
        self._device.push({PROGRAM: self._program})
        self._device.ask(f"chmod 755 {PROGRAM}")
        told = self._device.told(
            f"cd {shlex.quote(self._device.folder)} && ./{PROGRAM} --help 2>&1"
        )
        if told.status in (126, 127) or told.status > 128:
            said = told.output.strip().rpartition("\n")[2] or f"exit status {told.status}"
            raise DeviceError(
                f"{self.name} does not start {self._program.name}: {said}; is it built for "
                f"{self._device.ask('uname -m')}, and may {self._device.folder} hold programs "
                "(no noexec mount)?"
            )
        self._taskset = self._device.told("command -v taskset").status == 0

    def push(self, files: Mapping[str, Path]) -> None:
        """Copy what the program can run; the rest is known here."""
        self._files = dict(files)
        self._device.push({name: path for name, path in files.items() if path.suffix == ".tflite"})

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Do the job of `guest.pyz conduct JOB`; other commands of the guest can't be done."""
        if list(guest[1:2]) != ["conduct"]:
            raise DeviceError(f"{self.name} has no Python: {shlex.join(guest)} can't run there")
        job = Job.read(self._files[guest[2]])
        with facts_there.fetched(self) as root:
            cores = job.cores or tuple(facts_there.cores(root, max(job.threads)))
        self._conduct(job, cores, lambda event: on_line(json.dumps(event)))
        return 0

    def _conduct(self, job: Job, cores: Sequence[int], tell: Tell) -> None:
        tell({"event": "begin", **self._state(cores, first=True), "timer_overhead_s": 0.0})
        runners = self._opened(job, cores, tell)
        seconds = job.rounds * sum(_START_S + runner.seconds for runner in runners)
        tell({"event": "timing", "seconds": seconds, "rounds": job.rounds})
        shuffle = random.Random(job.seed).shuffle
        for number in range(job.rounds):
            order = list(runners)
            shuffle(order)
            for runner in order:
                if not self._timed(runner, job, cores, tell):
                    runners.remove(runner)
            tell({"event": "round", "number": number + 1})
        tell({"event": "end", **self._state(cores), "competing_load": None})

    def _state(self, cores: Sequence[int], *, first: bool = False) -> dict[str, Any]:
        """The conditions; at first the machine and the cores too."""
        with facts_there.fetched(self) as root:
            state: dict[str, Any] = {"conditions": facts.conditions(cores, root)}
            if first:
                state |= {"machine": facts_there.machine(self, root), "cores": list(cores)}
        return state

    def _opened(self, job: Job, cores: Sequence[int], tell: Tell) -> list[_Runner]:
        """Every .tflite on every number of threads; what can't be run is told and left out."""
        digest = hashlib.sha256(self._program.read_bytes()).hexdigest()[:8]
        runners = []
        for number, entry in enumerate(job.entries):
            tell({"event": "opening", "name": entry.name, "number": number})
            if not entry.path.endswith(".tflite"):
                _fail(tell, entry, "not run", "benchmark_model runs .tflite")
                continue
            for threads in job.threads:
                try:
                    report = self._start(entry, threads, cores, job.warmup, _FIRST_CALLS)
                except BenchmarkModelError as error:
                    _fail(tell, entry, "failed", str(error))
                    break
                key = {"name": entry.name, "threads": threads}
                tell(
                    {
                        "event": "open",
                        **key,
                        "load_s": report.load_s,
                        "first_s": report.first_s,
                        "runtime": f"benchmark_model {digest}",
                        "kernel_family": report.kernel_family,
                        "idle_bytes": 0,
                    }
                )
                tell({"event": "memory", **key, "peak_bytes": report.memory_bytes})
                wanted = max(job.samples, job.seconds / report.mean_s) / job.rounds
                calls = max(_LEAST_CALLS, math.ceil(wanted))
                runners.append(_Runner(entry, threads, calls, calls * report.mean_s))
        return runners

    def _timed(self, runner: _Runner, job: Job, cores: Sequence[int], tell: Tell) -> bool:
        """One start of one file; whether it can go on."""
        warmup = max(1, min(job.warmup, 3))  # the first look has filled the page cache
        try:
            report = self._start(runner.entry, runner.threads, cores, warmup, runner.calls)
        except BenchmarkModelError as error:
            _fail(tell, runner.entry, "failed", f"while it was timed: {error}")
            return False
        # The mean stands for every call of its round: so counts and seconds are what was run, and
        # the interval, which redraws rounds, is that of the means.
        nanoseconds = [round(report.mean_s * 1e9)] * report.calls
        tell(
            {
                "event": "burst",
                "name": runner.entry.name,
                "threads": runner.threads,
                "per_round": runner.calls,
                "wall_ns": nanoseconds,
                "cpu_ns": nanoseconds,
            }
        )
        return True

    def _start(
        self, entry: Entry, threads: int, cores: Sequence[int], warmup: int, calls: int
    ) -> Report:
        mask = sum(1 << core for core in cores[:threads]) if self._taskset else 0
        words = command(
            f"./{PROGRAM}",
            entry.path,
            threads=threads,
            warmup=warmup,
            calls=calls,
            mask=mask,
            signature=entry.signature if entry.target else "",
            shapes=entry.shapes or {},
        )
        lines: list[str] = []
        status = self._device.command(words, lines.append)
        if status:
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            raise BenchmarkModelError(f"benchmark_model ended with status {status}: {last}")
        return parsed("\n".join(lines))


def _fail(tell: Tell, entry: Entry, state: str, reason: str) -> None:
    tell({"event": "failed", "name": entry.name, "state": state, "reason": reason})
