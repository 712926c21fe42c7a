"""How a file is drawn: its shape says the network, its colour the drift, its rim the outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atpn_benchmarks.report.digits import (
    megabytes,
    milliseconds,
    percent,
    pixels,
    shortened,
    span,
)
from atpn_benchmarks.report.standing import Standing, landmark_drift

#: Paths round (0, 0), of nearly one area.
SHAPES = {
    "circle": "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0Z",
    "square": "M-5.4,-5.4H5.4V5.4H-5.4Z",
    "triangle": "M0,-7L6.6,5.2H-6.6Z",
    "hexagon": "M-6.4,0L-3.2,-5.6H3.2L6.4,0L3.2,5.6H-3.2Z",
    "diamond": "M0,-7.4L7.4,0L0,7.4L-7.4,0Z",
}
RADIUS = 7.5
#: Shapes of our networks in the order of the run; peers are diamonds.
OURS = ("circle", "square", "triangle", "hexagon")
#: Landmark drift in px up to which a file has this class of colour, and how the legend says it.
DRIFTS = (
    ("drift-0", 0.001, "rounding, below 0.001 px"),
    ("drift-1", 0.05, "below 0.05 px"),
    ("drift-2", 0.25, "below 0.25 px"),
    ("drift-3", math.inf, "0.25 px or more"),
)
#: Letters of a name that a chart shows; tooltips and tables show all.
NAME = 30


@dataclass(frozen=True)
class Mark:
    """A point of a chart."""

    x: float
    y: float
    shape: str  # of SHAPES
    classes: str
    tip: tuple[str, ...]  # lines of the tooltip
    name: str  # of the row

    @property
    def path(self) -> str:
        """The outline round (0, 0)."""
        return SHAPES[self.shape]


def shape_of(models: Sequence[str], each: Standing) -> str:
    """The name of the shape; `models` are our networks in order."""
    return "diamond" if each.row.peer else OURS[models.index(each.row.model) % len(OURS)]


def own_models(found: Sequence[Standing]) -> tuple[str, ...]:
    """Our networks in the run's order."""
    return tuple(dict.fromkeys(each.row.model for each in found if not each.row.peer))


def classes_of(each: Standing) -> str:
    """CSS classes of a point."""
    kind = "peer" if each.row.peer else drift_class(each.drift_px)
    hollow = " hollow" if each.row.signature == "align" else ""
    return f"mark {kind}{hollow}{'' if each.holds else ' flawed'}"


def drift_class(px: float) -> str:
    """The class of colour of a drift in px; "drift-none" where it is not known."""
    return next((name for name, most, _ in DRIFTS if px < most), "drift-none")


def tip_of(each: Standing) -> tuple[str, ...]:
    """What a tooltip says of a file."""
    summary, drift = each.summary, landmark_drift(each.row)
    lines = [
        shortened(each.row.title, 80),
        f"p50 {milliseconds(summary.p50_s)} ms "
        f"({span(summary.p50_low_s * 1e3, summary.p50_high_s * 1e3, each.p50_ms)}), "
        f"p95 {milliseconds(summary.p95_s)} ms",
        f"{megabytes(each.row.size_bytes)} MB",
    ]
    if drift is not None:
        which = f"{drift.statistic} over {drift.scope}"
        lines.append(f"landmarks off by {pixels(drift.error)} px ({which})")
    if each.row.fraction is not None:
        lines.append(f"{percent(each.row.fraction.fraction)} of the roofline")
    if each.row.runtime:
        lines.append(shortened(each.row.runtime, 60))
    if not each.holds:
        lines.append(shortened(f"{each.state}: {each.flaw}", 160))
    return tuple(lines)


def short_title(each: Standing) -> str:
    """The title without the network's name, which the shape says already."""
    title = each.row.title
    if not each.row.peer and title.startswith(f"{each.row.model} "):
        title = title[len(each.row.model) + 1 :]
    return shortened(title, NAME)
