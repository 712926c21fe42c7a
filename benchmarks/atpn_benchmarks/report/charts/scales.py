"""Axes: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float  # pixel
    text: str


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` on the pixels `start` to `end`, in equal steps or equal factors."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return round(self.start + (self.end - self.start) * (at - low) / (high - low), 2)

    def ticks(self) -> tuple[Tick, ...]:
        """Round values within the axis."""
        values = _log_ticks(self.low, self.high) if self.logarithmic else self._even_ticks()
        return tuple(Tick(self(value), f"{value:,g}") for value in values)

    def _even_ticks(self) -> list[float]:
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step)
        last = math.floor(self.high / step + 1e-9)
        return [step * n for n in range(first, last + 1)]


def log_scale(values: Iterable[float], start: float, end: float, *, margin: float = 0.08) -> Scale:
    """A scale of equal factors round positive values, with air beyond the outermost."""
    logs = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
    low, high = (min(logs), max(logs)) if logs else (0.0, 1.0)
    air = max(margin * (high - low), 0.08)
    return Scale(10 ** (low - air), 10 ** (high + air), start, end, logarithmic=True)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade; only the decades where there are many, more where few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        values = [step * 10.0**decade for decade in decades for step in steps]
        inside = [value for value in values if low <= value <= high]
        if len(inside) >= 4:
            return inside
    return inside


def _round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))
