"""What samples say: percentiles of calls that were not preempted, intervals, rules of validity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from atpn_benchmarks.results import Summary, Timing

Samples = NDArray[np.float64]

#: Redraws of the rounds behind every interval.
REDRAWS = 1000
#: A call of one thread was preempted if the wall saw so much more than the processor did.
LOST_SHARE = 0.05
LOST_S = 20e-6


@dataclass(frozen=True)
class Rules:
    """What samples must keep to be valid: enough of them, for long enough, and quiet."""

    samples: int = 200  # that were not preempted
    seconds: float = 1.0  # that they took together
    width: float = 0.05  # of the interval of the median, as a share of the median
    preempted: float = 0.5  # share of samples that may be
    slowing: float = 0.10  # last third of the rounds against the first, as a share


@dataclass(frozen=True)
class Ratio:
    """How many times as long one file takes as another, with its 95 % interval."""

    value: float
    low: float
    high: float


def preempted(wall_s: Samples, cpu_s: Samples, threads: int) -> NDArray[np.bool_]:
    """Which calls lost the processor to others on the way.

    On several threads waiting for each other looks the same, so none is marked there.
    """
    if threads > 1:
        return np.zeros(len(wall_s), bool)
    return wall_s - cpu_s > np.maximum(LOST_S, LOST_SHARE * wall_s)


def summarise(
    wall_s: Samples, cpu_s: Samples, *, threads: int, burst: int, rules: Rules
) -> Summary | None:
    """Percentiles, interval and broken rules of samples (N,) in seconds; None without a sample."""
    if not len(wall_s):
        return None
    lost = preempted(wall_s, cpu_s, threads)
    kept = wall_s[~lost] if not lost.all() else wall_s
    redrawn = _medians(wall_s, lost, burst, seed=0)
    low, high = np.percentile(redrawn, (2.5, 97.5))
    p50, p95, p99 = np.percentile(kept, (50, 95, 99))
    broken = _broken(kept, float(lost.mean()), (float(low), float(high)), rules)
    return Summary(
        float(p50),
        float(p95),
        float(p99),
        float(low),
        float(high),
        float(np.median(cpu_s)),
        float(lost.mean()),
        tuple(broken),
    )


def _broken(kept: Samples, lost: float, interval: tuple[float, float], rules: Rules) -> list[str]:
    """The rules that are broken, each in a sentence."""
    p50 = float(np.median(kept))
    found = []
    if len(kept) < rules.samples:
        found.append(f"{len(kept)} undisturbed samples (at least {rules.samples})")
    if kept.sum() < rules.seconds:
        found.append(f"{kept.sum():.2f} s of undisturbed samples (at least {rules.seconds:g} s)")
    width = (interval[1] - interval[0]) / p50
    if not width <= rules.width:
        found.append(f"the interval of the median is {width:.1%} wide (at most {rules.width:.0%})")
    if not lost <= rules.preempted:
        found.append(f"{lost:.0%} of the calls were preempted (at most {rules.preempted:.0%})")
    third = len(kept) // 3
    if third:
        slowing = float(np.median(kept[-third:]) / np.median(kept[:third]) - 1)
        if not slowing <= rules.slowing:
            found.append(
                f"the last third was {slowing:.0%} slower than the first (at most "
                f"{rules.slowing:.0%}): throttling, or other work"
            )
    return found


def ratio(a: Timing, b: Timing, *, same_run: bool = True) -> Ratio:
    """The median of `a` over that of `b`.

    Of one run, the same rounds are drawn for both, so that what hit a whole round cancels; of two
    runs, each its own. Raises ValueError where one has no sample.
    """
    if not a.wall_s or not b.wall_s:
        raise ValueError("a ratio needs samples of both files")
    paired = same_run and rounds_of(a) == rounds_of(b)
    redrawn = medians(a, seed=0) / medians(b, seed=0 if paired else 1)
    low, high = np.percentile(redrawn, (2.5, 97.5))
    return Ratio(_median(a) / _median(b), float(low), float(high))


@lru_cache(maxsize=128)  # a table of ratios asks for each file many times
def medians(timing: Timing, *, seed: int) -> Samples:
    """(REDRAWS,) medians in seconds, each of as many rounds as there are, drawn with repetition.

    Read-only.
    """
    wall_s, cpu_s = np.array(timing.wall_s), np.array(timing.cpu_s)
    lost = preempted(wall_s, cpu_s, timing.threads)
    drawn = _medians(wall_s, lost, timing.burst, seed=seed)
    drawn.setflags(write=False)
    return drawn


def rounds_of(timing: Timing) -> int:
    """How many rounds the samples came in, a last one that was cut short included."""
    return -(-len(timing.wall_s) // timing.burst)


def _median(timing: Timing) -> float:
    wall_s = np.array(timing.wall_s)
    lost = preempted(wall_s, np.array(timing.cpu_s), timing.threads)
    return float(np.median(wall_s[~lost] if not lost.all() else wall_s))


def _medians(wall_s: Samples, lost: NDArray[np.bool_], burst: int, *, seed: int) -> Samples:
    """Medians over redrawn rounds: calls of one round are alike, so rounds are what repeats."""
    rounds = -(-len(wall_s) // burst)
    table = np.full(rounds * burst, np.nan)
    table[: len(wall_s)] = wall_s if lost.all() else np.where(lost, np.nan, wall_s)
    # A sample's weight in a redraw is how often its round was drawn; the weighted median of the
    # sorted samples is the median of the redrawn ones.
    drawn = np.random.default_rng(seed).integers(0, rounds, (REDRAWS, rounds))
    weight = np.zeros((REDRAWS, rounds))
    np.add.at(weight, (np.arange(REDRAWS)[:, None], drawn), 1.0)
    order = np.argsort(table)[: int(np.isfinite(table).sum())]  # NaN sorts last
    reached = np.cumsum(weight[:, order // burst], axis=1)
    # A redraw can hold nothing but preempted calls; it then stands for the whole.
    half = np.maximum(reached[:, -1:], 1.0) / 2
    position = np.minimum((reached < half).sum(axis=1), len(order) - 1)
    return np.asarray(table[order[position]])
