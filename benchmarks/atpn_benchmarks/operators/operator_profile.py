"""What a runtime's own profiler says of one file, beside what the whole of it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, median_grouped

from atpn_benchmarks.results import Delegation, OperatorTime

#: (wall, processor) seconds of one run.
Timed = tuple[float, float]
#: A run whose thread had the processor for less of it than this was preempted, and is left out
#: where that leaves `ENOUGH` of all.
UNDISTURBED, ENOUGH = 0.95, 0.1

#: Profilers write whole microseconds, rounded down: on average half of one is lost.
LOST_US = 0.5


@dataclass(frozen=True)
class OperatorProfile:
    """One file's operators in the order in which they ran, on one set of kernels."""

    file: str
    signature: str  # "" where the file names none
    runtime: str  # "LiteRT 2.3.0"
    kernels: str  # xnnpack, builtin, onnxruntime
    how: str  # who timed the operators, in a sentence
    threads: int
    runs: int  # profiled ones
    #: Median of runs without a profiler, which took turns with the profiled ones.
    whole_s: float
    operators: tuple[OperatorTime, ...]
    delegation: Delegation | None  # None where the runtime has no delegate

    @property
    def sum_s(self) -> float:
        """All operators together; what the profiler itself takes is in it, the rest is not."""
        return sum(operator.median_s for operator in self.operators)

    @property
    def sum_to_whole(self) -> float:
        """The sum of the operators over the whole run: 1 where the profile explains it all."""
        return self.sum_s / self.whole_s if self.whole_s else 0.0


@dataclass(frozen=True)
class GroupTime:
    """What some operators take together."""

    name: str  # their module, or their kind
    operators: int
    median_s: float  # sum of their medians
    macs: int


def by_module(operators: Iterable[OperatorTime], depth: int = 2) -> tuple[GroupTime, ...]:
    """Operators added up by the first `depth` parts of their module's path, slowest first."""
    return _grouped(operators, lambda one: ".".join(one.module.split(".")[:depth]))


def by_kind(operators: Iterable[OperatorTime]) -> tuple[GroupTime, ...]:
    """Operators added up by their kind, slowest first: with XNNPACK that is the kernel."""
    return _grouped(operators, lambda one: one.kind)


def _grouped(
    operators: Iterable[OperatorTime], key: Callable[[OperatorTime], str]
) -> tuple[GroupTime, ...]:
    groups: dict[str, list[OperatorTime]] = {}
    for operator in operators:
        groups.setdefault(key(operator), []).append(operator)
    found = (
        GroupTime(name, len(own), sum(o.median_s for o in own), sum(o.macs for o in own))
        for name, own in groups.items()
    )
    return tuple(sorted(found, key=lambda group: -group.median_s))


def median_s(elapsed_us: Sequence[float], events: int) -> float:
    """The median of whole microseconds, each the sum of so many events that were rounded down.

    Taken as of values spread evenly over their microsecond, so that an operator of 1.4 us is told
    from one of 1.8 us. Zero events took no time.
    """
    if not events:
        return 0.0
    return median_grouped([us + LOST_US * events for us in elapsed_us], interval=1) / 1e6


def timed(step: Callable[[], object]) -> Timed:
    """Call once; wall seconds and those of this thread on the processor."""
    wall, processor = time.perf_counter(), time.thread_time()
    step()
    return time.perf_counter() - wall, time.thread_time() - processor


def whole_median_s(runs: Sequence[Sequence[float]], threads: int) -> float:
    """Median of whole runs that were not preempted; others share a core with somebody's work.

    Where nearly all were, that of one thread's time on the processor stands for it. An operator is
    so short that its median needs no such care; a run of milliseconds does.
    """
    kept = [wall for wall, processor in runs if processor >= UNDISTURBED * wall]
    if len(kept) >= ENOUGH * len(runs):
        return median(kept)
    return median(processor if threads == 1 else wall for wall, processor in runs)
