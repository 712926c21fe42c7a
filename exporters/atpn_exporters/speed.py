"""Is the quantised file faster than its float twin here? Interleaved, one thread, samples kept.

Processor time is compared, not wall time: on a shared machine a preempted call takes ten times as
long by the wall and tells nothing about the file.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Clock = Callable[[], float]

#: Differences below this are called none: two runs of one file differ by as much.
NOTICEABLE = 0.03


@dataclass(frozen=True)
class Speed:
    """Processor seconds of two files, call by call, from the same shuffled rounds."""

    quantised_s: tuple[float, ...]
    float_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast as float, by medians."""
        return float(np.median(self.float_s) / np.median(self.quantised_s))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the ratio."""
        rng = np.random.default_rng(0)
        count = len(self.float_s)
        draws = rng.integers(0, count, (2, 500, count))
        ratios = np.median(np.array(self.float_s)[draws[0]], 1) / np.median(
            np.array(self.quantised_s)[draws[1]], 1
        )
        low, high = np.percentile(ratios, (2.5, 97.5))
        return float(low), float(high)

    def verdict(self, quantization: str, reason: str) -> str:
        """One sentence; `reason` says why it is slower, where the graph tells."""
        low, high = self.interval
        quantised, floating = np.median(self.quantised_s), np.median(self.float_s)
        measured = (
            f"{quantised * 1e3:.3f} against {floating * 1e3:.3f} ms of processor time, "
            f"95 % interval {low:.2f} to {high:.2f}, one thread"
        )
        if low <= 1 <= high or abs(self.ratio - 1) < NOTICEABLE:
            return f"{quantization} is as fast as float here ({measured})"
        if self.ratio > 1:
            return f"{quantization} is {self.ratio:.2f}x faster than float here ({measured})"
        because = f", because {reason}" if reason else ""
        return (
            f"{quantization} is slower here, {1 / self.ratio:.2f}x the time{because} ({measured})"
        )


def compare_speed(
    quantised: Callable[[], object],
    floating: Callable[[], object],
    *,
    rounds: int = 200,
    warmup: int = 10,
    budget_s: float = 6.0,
    clock: Clock = time.process_time,
) -> Speed:
    """Time both in shuffled rounds until `rounds` are done or `budget_s` is spent (at least ten).

    Both must run on one thread.
    """
    order = [0, 1]
    steps = (quantised, floating)
    for _ in range(warmup):
        for step in steps:
            step()
    samples: tuple[list[float], list[float]] = ([], [])
    shuffle = random.Random(0).shuffle
    began = clock()
    for done in range(rounds):
        if done >= 10 and clock() - began > budget_s:
            break
        shuffle(order)
        for which in order:
            start = clock()
            steps[which]()
            samples[which].append(clock() - start)
    return Speed(tuple(samples[0]), tuple(samples[1]))
