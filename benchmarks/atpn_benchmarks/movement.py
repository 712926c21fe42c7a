"""How far a file's time moved from one run to another beside files that did not change.

Two runs on one machine differ by more than their samples' intervals say: the whole machine is
faster or slower than last time, and beside that each file moves a little of its own. The first is
divided out by a reference that both runs timed. The second, `RunToRun`, is measured on the files
that are the same in both runs, or assumed where there are too few; without it every second file
would seem to have changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from atpn_benchmarks.latency import REDRAWS, Ratio, Samples, medians
from atpn_benchmarks.results import Timing

#: Run to run, standard deviation of new over old of a file that did not change. Ratios of two files
#: of one run repeat within 3 % over five runs: a range of 2.33 deviations of a ratio, so 1.3 %.
ASSUMED_BESIDE = 0.013
#: The same without a reference: absolute times of shared machines move by 15 %, twice a deviation.
ASSUMED_ALONE = 0.07
#: So many unchanged files, and the movement from run to run is measured on them.
ENOUGH = 4
#: Draws of the movement behind an interval, for each redraw of the samples.
DRAWS = 20


@dataclass(frozen=True)
class Move:
    """How far the median moved, of one file on one number of threads."""

    old_p50_s: float
    new_p50_s: float
    redrawn: Samples  # (REDRAWS,) `value` of redrawn rounds, each run its own

    @property
    def value(self) -> float:
        """Logarithm of new over old."""
        return math.log(self.new_p50_s / self.old_p50_s)


@dataclass(frozen=True)
class RunToRun:
    """How far the time of a file that did not change moves from one run to the next."""

    share: float  # standard deviation, of the time
    source: Literal["measured", "assumed", "given"]
    files: int = 0  # that it was measured on
    sampling: float = 0.0  # variance in `share` that is not the machine's, but the samples'


def move_of(old: Timing, new: Timing) -> Move:
    """How one file moved. One seed a run, so that files of one run are redrawn by equal rounds."""
    if old.summary is None or new.summary is None:
        raise ValueError("a movement needs samples of both runs")
    return Move(
        old.summary.p50_s,
        new.summary.p50_s,
        np.log(medians(new, seed=1) / medians(old, seed=0)),
    )


def measured(unchanged: Sequence[Move]) -> RunToRun | None:
    """The scatter of unchanged files round their mean; None if they are fewer than ENOUGH."""
    count = len(unchanged)
    if count < ENOUGH:
        return None
    values = np.array([move.value for move in unchanged])
    redrawn = np.array([move.redrawn for move in unchanged])  # (files, REDRAWS)
    around = redrawn - redrawn.mean(0)
    sampling = float(around.var(axis=1).sum() / (count - 1))
    return RunToRun(float(values.std(ddof=1)), "measured", count, sampling)


def beside(move: Move, reference: Sequence[Move], run_to_run: RunToRun) -> Ratio:
    """New over old of one file, divided by the reference's mean, with a 95 % interval.

    Nothing is divided out if the reference is empty. The interval is a prediction: a file that did
    not change lies in one that holds 1.0, 19 times of 20.
    """
    share = 1.0 / len(reference) if reference else 0.0
    value = move.value - sum(other.value for other in reference) * share
    redrawn = move.redrawn - sum((other.redrawn for other in reference), np.zeros(REDRAWS)) * share
    own = float(redrawn.var())
    # What was measured on files holds the noise of their samples: only a noisier file adds its own.
    added = max(0.0, own - run_to_run.sampling * (1 + share))
    scale = math.sqrt(added / own) if own else 0.0
    draws = value + (redrawn - redrawn.mean()) * scale
    freedom = run_to_run.files - 1 if run_to_run.source == "measured" else 0
    noise = run_to_run.share * math.sqrt(1 + share) * _movements(freedom)
    low, high = np.percentile(draws + noise, (2.5, 97.5))
    return Ratio(math.exp(value), math.exp(low), math.exp(high))


@cache
def _movements(freedom: int) -> Samples:
    """(DRAWS, REDRAWS) movements of deviation 1; Student's, if it was estimated with `freedom`."""
    generator = np.random.default_rng(2)
    shape = (DRAWS, REDRAWS)
    if freedom:
        return generator.standard_t(freedom, shape)
    return generator.standard_normal(shape)
