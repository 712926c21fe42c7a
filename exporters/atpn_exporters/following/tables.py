"""A tracking run as a table for people: what was seen, and where the time went."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from atpn_exporters.following.request import TrackSummary
from atpn_exporters.tables import plural


def summary_table(summary: TrackSummary) -> RenderableType:
    """One line on the faces, then the stages."""
    return Group(faces_line(summary), stage_table(summary))


def faces_line(summary: TrackSummary) -> str:
    """ "120 frames, 119 with a face; 2 faces were born, 1 lost, 0 recovered; ..." """
    return (
        f"{summary.input}: {plural(summary.frames, 'frame')}, "
        f"{summary.frames_with_face:,} with a face; {plural(summary.born, 'face')} found, "
        f"lost {plural(summary.lost, 'time')}, recovered {plural(summary.recovered, 'time')}; "
        f"the detector ran in {plural(summary.detector_runs, 'frame')}"
    )


def stage_table(summary: TrackSummary) -> RenderableType:
    """Milliseconds a frame and share of the whole by stage; `other` is what no stage counts.

    Stages of a thread beside the loop come last: their time is no part of the whole.
    """
    table = Table(box=SIMPLE_HEAD)
    table.add_column("stage")
    for column in ("ms a frame", "share"):
        table.add_column(column, justify="right")
    whole_s = max(summary.wall_s, 1e-9)
    stages = dict(summary.stage_seconds)
    stages["other"] = max(0.0, summary.wall_s - sum(stages.values()))
    for stage, seconds in stages.items():
        per_frame_ms = 1e3 * seconds / max(1, summary.frames)
        table.add_row(stage, f"{per_frame_ms:.3f}", f"{seconds / whole_s:.1%}")
    table.add_section()
    whole_ms = 1e3 * summary.wall_s / max(1, summary.frames)
    table.add_row("all", f"{whole_ms:.3f}", f"{summary.fps:.0f} fps")
    if summary.beside_seconds:
        table.add_section()
    for stage, seconds in summary.beside_seconds.items():
        per_frame_ms = 1e3 * seconds / max(1, summary.frames)
        table.add_row(f"{stage}, beside", f"{per_frame_ms:.3f}", "")
    return table
