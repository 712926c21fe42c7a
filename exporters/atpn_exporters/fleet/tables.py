"""A run over many videos as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_exporters.fleet.bar import duration
from atpn_exporters.fleet.report import Failure, FleetReport, shown
from atpn_exporters.tables import plural

#: Failures that are shown; failures.json holds them all.
LISTED = 30


def report_table(report: FleetReport) -> RenderableType:
    """What was done, and what was not and why."""
    parts: list[RenderableType] = [Text(line) for line in report_lines(report)]
    if report.failures:
        parts.append(failure_table(report.failures))
    return Group(*parts)


def report_lines(report: FleetReport) -> list[str]:
    """The counts, a line each for what there is."""
    speed = f", {report.fps:.0f} frames/s" if report.wall_s > 0 else ""
    lines = [
        f"{plural(report.whole, 'video')} tracked to the end: {plural(report.frames, 'frame')} in "
        f"{duration(report.wall_s)} on {plural(report.workers, 'worker')}{speed}"
    ]
    if report.done_before:
        lines.append(f"{plural(report.done_before, 'video')} done before")
    if report.done_elsewhere:
        lines.append(f"{plural(report.done_elsewhere, 'video')} done by another run meanwhile")
    if report.busy_elsewhere:
        owners = ", ".join(sorted(set(report.busy_elsewhere.values())))
        lines.append(f"{plural(len(report.busy_elsewhere), 'video')} left to {owners}")
    if report.passed_over:
        lines.append(
            f"{plural(len(report.passed_over), 'file')} passed over, listed in summary.json"
        )
    if report.retries:
        lines.append(f"{plural(report.retries, 'video')} tried again after a worker had died")
    if report.interrupted:
        lines.append(f"{plural(report.left, 'video')} left")
    return lines


def failure_table(failures: Sequence[Failure]) -> RenderableType:
    """The first LISTED, the damaged last: they have results."""
    table = Table(box=SIMPLE_HEAD, title="without a whole result", title_justify="left")
    table.add_column("video", overflow="fold")
    table.add_column("kept")
    table.add_column("reason", overflow="fold")
    ordered = sorted(failures, key=lambda failure: (failure.state == "damaged", failure.video))
    for failure in ordered[:LISTED]:
        kept = "what could be tracked" if failure.kept else "nothing"
        table.add_row(*(Text(shown(t)) for t in (failure.video, kept, failure.reason)))
    if len(failures) > LISTED:
        table.caption = f"and {len(failures) - LISTED:,} more in failures.json"
    return table
