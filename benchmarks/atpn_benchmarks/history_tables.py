"""The history for people: the list of runs, and the course of one file over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.history import Entry, Figure
from atpn_exporters.tables import plural

BARS = "▁▂▃▄▅▆▇█"
#: The bars span at least this share of the smallest value, so that noise looks like noise.
LEAST_SPAN = 0.10


@dataclass(frozen=True)
class Point:
    """One run's value of a file."""

    figure: Figure
    value: float | None  # p50 in seconds, or the ratio to another row of its run; None: no such row

    @property
    def holds(self) -> bool:
        """Whether it can be drawn."""
        return self.figure.valid and self.value is not None


@dataclass(frozen=True)
class Course:
    """One file on one kind of machine and one number of threads, oldest run first."""

    name: str
    machine: str
    threads: int
    relative_to: str  # name of a row; "" where values are seconds
    points: tuple[Point, ...]


def courses(
    name: str, figures: Sequence[Figure], relative_to: str = "", others: Sequence[Figure] = ()
) -> list[Course]:
    """The figures of one row by machine and threads, divided by those of `others` if there are."""
    divisors = {(f.run, f.threads): f.p50_s for f in others if f.valid}
    found: dict[tuple[str, int], list[Point]] = {}
    for figure in figures:
        divisor = divisors.get((figure.run, figure.threads)) if relative_to else 1.0
        value = None if divisor is None else figure.p50_s / divisor
        found.setdefault((figure.machine, figure.threads), []).append(Point(figure, value))
    return [
        Course(name, machine, threads, relative_to, tuple(points))
        for (machine, threads), points in found.items()
    ]


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, a dot for None."""
    known = [value for value in values if value is not None]
    if not known:
        return "·" * len(values)
    low = min(known)
    step = max(max(known) - low, LEAST_SPAN * low) / (len(BARS) - 1)
    return "".join("·" if v is None else BARS[round((v - low) / step)] for v in values)


def entries_table(entries: Sequence[Entry], limit: int) -> RenderableType:
    """The last `limit` runs, newest first."""
    if not entries:
        return Text("no run yet")
    table = Table(box=SIMPLE_HEAD)
    for column in ("id", "started", "timed"):
        table.add_column(column, no_wrap=True)
    for column in ("device", "machine", "version"):
        table.add_column(column, overflow="fold")
    for entry in reversed(entries[-limit:]):
        cells = (
            entry.id,
            minute(entry.started_at),
            f"{entry.timed} of {entry.rows}",
            entry.device,
            entry.machine.split(",")[0],  # its processor
            entry.version,
        )
        table.add_row(*map(Text, cells))  # a device's name is no markup
    older = len(entries) - limit
    return Group(table, Text(f"and {plural(older, 'older run')}")) if older > 0 else table


def course_table(course: Course) -> RenderableType:
    """The bars, then each run's figure; where the file became another one, its hash stands out."""
    unit = f"x {course.relative_to}" if course.relative_to else "ms"
    head = Text(f"{course.name} on {plural(course.threads, 'thread')}, {course.machine}", "bold")
    values = [point.value if point.holds else None for point in course.points]
    known = [value for value in values if value is not None]
    spark = Text(sparkline(values))
    if known:
        scale = 1.0 if course.relative_to else 1e3
        spark.append(f"  {min(known) * scale:.3f} to {max(known) * scale:.3f} {unit}")
    table = Table(box=SIMPLE_HEAD)
    value = "ratio" if course.relative_to else "ms"
    for column in ("run", "sha256", value, "95 % interval, ms", ""):
        right = column in (value, "95 % interval, ms")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for cells in _course_rows(course):
        table.add_row(*cells)
    return Group(head, spark, table)


def _course_rows(course: Course) -> Iterator[tuple[str | Text, ...]]:
    last = ""
    for point in course.points:
        figure = point.figure
        sha = Text(figure.sha256[:8], "yellow" if last and last != figure.sha256 else "")
        last = figure.sha256
        yield (
            figure.run,
            sha,
            _shown(point.value, relative=bool(course.relative_to)),
            f"{figure.p50_low_s * 1e3:.3f} to {figure.p50_high_s * 1e3:.3f}",
            "" if figure.valid else figure.state,
        )


def courses_dict(found: Sequence[Course]) -> list[dict[str, Any]]:
    """Plain values."""
    return [asdict(course) for course in found]


def _shown(value: float | None, *, relative: bool) -> str:
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value:.3f}" if relative else f"{value * 1e3:.3f}"


def minute(moment: str) -> str:
    """2026-11-23T04:30:01+00:00 as 2026-11-23 04:30."""
    return moment[:16].replace("T", " ")
