"""Which of several measured files to take: those that no other beats, and one with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atpn_deploy.parity import Row

#: Speeds that differ by less are nearly equal: two runs of one file differ by as much. Sizes too.
TOLERANCE = 0.05
#: Sizes that differ by less are equal where files are compared in all three.
SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Measurement:
    """One candidate, measured."""

    name: str
    float_modules: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    size_bytes: int = 0
    sha256: str = ""
    ratio: float = 0.0  # how many times as fast as the float file
    interval: tuple[float, float] = (0.0, 0.0)  # 95 % of the ratio
    partitions: int | None = None
    float_operators: int = 0
    failed: str = ""  # why there is nothing to measure
    #: The float file, or a scheme that takes no recipe: a point to compare with, never chosen.
    reference: bool = False

    @property
    def drift(self) -> float:
        """The largest error as a share of its limit: up to 1 is within all limits."""
        return max((row.error / row.limit for row in self.rows), default=float("inf"))

    @property
    def within(self) -> bool:
        """Measured, and within every limit; false for NaN."""
        return not self.failed and bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def faster(self) -> bool:
        """Faster than the float file, beyond what chance would show."""
        return self.interval[0] > 1

    def error(self, output: str, unit: str) -> float:
        """The error in one unit; NaN if that was not measured."""
        return next(
            (row.error for row in self.rows if (row.output, row.unit) == (output, unit)),
            float("nan"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, every row with its limit."""
        return {
            **asdict(self),
            "rows": [{**asdict(row), "ok": row.ok} for row in self.rows],
            "drift": self.drift if self.rows else None,
            "within_limits": self.within,
            "faster_than_float": self.faster,
        }


@dataclass(frozen=True)
class Choice:
    """What to take, or nothing, and why."""

    chosen: Measurement | None
    sentence: str


def beats(one: Measurement, other: Measurement) -> bool:
    """No worse in drift, speed and size, and better in one; sizes within 1 % are equal."""
    no_larger = one.size_bytes <= (1 + SIZE_TOLERANCE) * other.size_bytes
    smaller = one.size_bytes < (1 - SIZE_TOLERANCE) * other.size_bytes
    if not (one.drift <= other.drift and one.ratio >= other.ratio and no_larger):
        return False
    return one.drift < other.drift or one.ratio > other.ratio or smaller


def front(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """The Pareto set: the measured candidates that no other beats, in their order."""
    measured = [m for m in measurements if m.rows and not m.failed and not m.reference]
    return tuple(m for m in measured if not any(beats(other, m) for other in measured))


def choose(measurements: Sequence[Measurement]) -> Choice:
    """Of the files within the limits the least drift among the nearly fastest.

    Where none is faster than the float file, the least drift among the nearly smallest.
    """
    candidates = [m for m in measurements if not m.reference]
    measured = [m for m in candidates if m.rows and not m.failed]
    if not measured:
        why = candidates[0].failed if candidates else "there was none"
        return Choice(None, f"none of {len(candidates)} candidates could be made: {why}")
    within = [m for m in measured if m.within]
    tally = (
        f"of {len(measured)} candidates {len(within)} are within the limits and "
        f"{sum(m.faster for m in within)} of these faster than the float file"
    )
    allowed = [m for m in front(measurements) if m.within]
    if not allowed:
        return Choice(None, f"{tally}: none is taken; {_least_off(measured)}")
    fast = [m for m in allowed if m.faster]
    chosen, because = _fast(fast) if fast else _small(allowed)
    return Choice(chosen, f"{tally}; {chosen.name} is taken: {because}")


def _least_off(measured: Sequence[Measurement]) -> str:
    """The nearest to the limits, and what it misses."""
    least = min(measured, key=lambda m: m.drift)
    worst = max(least.rows, key=lambda row: row.error / row.limit)
    return (
        f"the least drift has {least.name}, {worst.output} off by {worst.error:.3g} {worst.unit} "
        f"(limit {worst.limit:g}) at {least.ratio:.2f}x"
    )


def _fast(files: Sequence[Measurement]) -> tuple[Measurement, str]:
    """The least drift among the nearly fastest, and why."""
    fastest = max(files, key=lambda m: m.ratio)
    near = [m for m in files if m.ratio >= (1 - TOLERANCE) * fastest.ratio]
    chosen = min(near, key=lambda m: (m.drift, m.size_bytes))
    if chosen is fastest:
        return chosen, f"it is the fastest, and none within {TOLERANCE:.0%} of it drifts less"
    return chosen, (
        f"it drifts least ({chosen.drift:.0%} of a limit) of those within {TOLERANCE:.0%} of the "
        f"fastest ({fastest.name}, {fastest.ratio:.2f}x, {fastest.drift:.0%})"
    )


def _small(files: Sequence[Measurement]) -> tuple[Measurement, str]:
    """The least drift among the nearly smallest, and why."""
    smallest = min(files, key=lambda m: m.size_bytes)
    near = [m for m in files if m.size_bytes <= (1 + TOLERANCE) * smallest.size_bytes]
    chosen = min(near, key=lambda m: (m.drift, -m.ratio))
    return chosen, (
        f"none is faster than the float file, and it drifts least ({chosen.drift:.0%} of a limit) "
        f"of those within {TOLERANCE:.0%} of the smallest ({smallest.size_bytes / 1000:,.0f} KB)"
    )
