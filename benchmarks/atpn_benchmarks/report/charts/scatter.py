"""Size over latency, drift as colour, with the line of what nothing beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atpn_benchmarks.report.charts.labels import Anchor, Box, Label, place
from atpn_benchmarks.report.charts.marks import (
    RADIUS,
    Mark,
    classes_of,
    own_models,
    shape_of,
    short_title,
    tip_of,
)
from atpn_benchmarks.report.charts.scales import Scale, Tick, log_scale
from atpn_benchmarks.report.choice import front, line
from atpn_benchmarks.report.standing import Standing

#: Font size of labels, in pixels of the drawing.
TEXT = 12.0
#: Where a drawing is narrower, there is no room for lines to labels.
NARROW = 500.0


@dataclass(frozen=True)
class Plot:
    """Points between two axes, all in pixels of a drawing of `width` x `height`."""

    width: float
    height: float
    frame: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    y_name: str
    lines: tuple[tuple[str, str], ...]  # classes and points of polylines
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    notes: tuple[Label, ...] = ()  # words of their own, such as names of lines


def scatter(found: Sequence[Standing], width: float, height: float) -> Plot:
    """The chart of one device; all labels that have room, those of the front first."""
    frame = Box(52, 12, width - 12, height - 44)
    x = log_scale((each.p50_ms for each in found), frame.left, frame.right)
    y = log_scale((each.size_mb for each in found), frame.bottom, frame.top)
    models = own_models(found)
    jobs = _jobs(found)
    best = [each for job in jobs for each in front(job)]
    marks = [_mark(each, x, y, models, each in best) for each in found if each.size_mb > 0]
    wanted = sorted(
        (each for each in found if each.size_mb > 0),
        key=lambda each: (each not in best, not each.row.peer, not each.holds),
    )
    anchors = [Anchor(x(e.p50_ms), y(e.size_mb), RADIUS, short_title(e)) for e in wanted]
    placed = place(anchors, (), frame, TEXT, far=width > NARROW)
    return Plot(
        width,
        height,
        frame,
        x.ticks(),
        y.ticks(),
        "p50 latency, ms",
        "file size, MB",
        tuple(_front_line(job, x, y, models) for job in jobs),
        tuple(marks),
        tuple(label for label in placed if label is not None),
    )


def _jobs(found: Iterable[Standing]) -> list[list[Standing]]:
    """Our files by what they compute: files of other networks or outputs do not compete."""
    jobs: dict[tuple[str, str], list[Standing]] = {}
    for each in found:
        if not each.row.peer and each.size_mb > 0:
            jobs.setdefault((each.row.model, each.row.signature), []).append(each)
    return list(jobs.values())


def _mark(each: Standing, x: Scale, y: Scale, models: Sequence[str], best: bool) -> Mark:
    tip = tip_of(each)
    if best:
        tip = (*tip, "on the Pareto front of its network and outputs")
    return Mark(
        x(each.p50_ms),
        y(each.size_mb),
        shape_of(models, each),
        classes_of(each) + (" best" if best else ""),
        tip,
        each.row.name,
    )


def _front_line(
    job: Sequence[Standing], x: Scale, y: Scale, models: Sequence[str]
) -> tuple[str, str]:
    """The steps of the front in this plane, from one best file to the next."""
    best = line(job)
    corners: list[tuple[float, float]] = []
    for each in best:
        here = (x(each.p50_ms), y(each.size_mb))
        if corners:
            corners.append((here[0], corners[-1][1]))
        corners.append(here)
    number = models.index(job[0].row.model) % 4 if job else 0
    return f"front front-{number}", " ".join(f"{a},{b}" for a, b in corners)
