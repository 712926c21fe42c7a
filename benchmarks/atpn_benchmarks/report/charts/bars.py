"""Medians as bars with their intervals: each float file beside its quantised forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atpn_benchmarks.report.charts.labels import text_width
from atpn_benchmarks.report.charts.marks import tip_of
from atpn_benchmarks.report.charts.scales import Scale, Tick
from atpn_benchmarks.report.charts.scatter import NARROW, TEXT
from atpn_benchmarks.report.digits import milliseconds, shortened
from atpn_benchmarks.report.standing import Standing, format_of, is_float

BAR, STEP, GROUP = 13.0, 20.0, 9.0  # height, from bar to bar, and more between groups


@dataclass(frozen=True)
class Bar:
    """One file."""

    text: str
    text_x: float
    text_y: float
    anchor: str
    top: float
    left: float
    right: float  # the median
    low: float
    high: float
    p95: float
    value: str
    value_x: float
    classes: str
    tip: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Bars:
    """The whole chart."""

    width: float
    height: float
    left: float
    bottom: float
    ticks: tuple[Tick, ...]
    x_name: str
    bars: tuple[Bar, ...]


def bars(found: Sequence[Standing], width: float) -> Bars:
    """Groups by their fastest file; in a group float first."""
    narrow = width < NARROW
    names = [shortened(each.row.title, 34) for each in found]
    column = 0.0 if narrow else min(250.0, max((text_width(n, TEXT) for n in names), default=0))
    left = 8.0 if narrow else column + 10
    most = max((_reach(each) for each in found), default=1.0)
    x = Scale(0.0, most, left, width - 62)
    top, drawn = 8.0, []
    for group in groups(found):
        for each in group:
            drawn.append(_bar(each, x, top, narrow))
            top += STEP + (15 if narrow else 0)
        top += GROUP
    return Bars(width, top + 40, left, top, x.ticks(), "p50 latency, ms", tuple(drawn))


def groups(found: Sequence[Standing]) -> list[list[Standing]]:
    """Files of one network, outputs and format together, float first, then by time."""
    grouped: dict[tuple[str, ...], list[Standing]] = {}
    for each in found:
        row = each.row
        key = (row.name,) if row.peer else (row.model, row.signature, format_of(row))
        grouped.setdefault(key, []).append(each)
    ordered = sorted(grouped.values(), key=lambda group: min(each.p50_ms for each in group))
    return [sorted(group, key=lambda e: (not is_float(e.row), e.p50_ms)) for group in ordered]


def bar_class(each: Standing) -> str:
    """CSS classes of a bar."""
    kind = "peer" if each.row.peer else "float" if is_float(each.row) else "quantised"
    return f"bar {kind}{'' if each.holds else ' flawed'}"


def _reach(each: Standing) -> float:
    """How far to the right a bar goes, ms: p95 too, unless it is far off."""
    return max(1e3 * each.summary.p50_high_s, min(1e3 * each.summary.p95_s, 1.5 * each.p50_ms))


def _bar(each: Standing, x: Scale, top: float, narrow: bool) -> Bar:
    summary = each.summary
    below = 15.0 if narrow else 0.0
    right, high = x(each.p50_ms), x(1e3 * summary.p50_high_s)
    p95 = x(min(1e3 * summary.p95_s, x.high))
    return Bar(
        shortened(each.row.title, 44 if narrow else 34),
        x.start if narrow else x.start - 8,
        top + 11,
        "start" if narrow else "end",
        top + below,
        x.start,
        right,
        x(1e3 * summary.p50_low_s),
        high,
        p95,
        milliseconds(summary.p50_s),
        max(high, p95) + 6,
        bar_class(each),
        tip_of(each),
        each.row.name,
    )
