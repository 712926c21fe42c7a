"""Closed loops as tables for people."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_exporters.closed_loop.figures import Spread
from atpn_exporters.closed_loop.pairing import Gap
from atpn_exporters.closed_loop.rules import Comparison, Verdict
from atpn_exporters.closed_loop.run import LoopResult

#: Gaps that are told one by one; the JSON holds them all.
TOLD = 8


def loop_table(result: LoopResult) -> RenderableType:
    """Every rule with what was measured, the drift in its units, then what was lost and when."""
    if result.comparison is None or result.error:
        return Text(f"  {result.error}", style="red")
    seen = result.comparison
    title = f"closed loop on {result.runtime}, against {result.reference}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("rule", "measured", "limit", "unit", ""):
        table.add_column(column, justify="right" if column in ("measured", "limit") else "left")
    for verdict in result.verdicts:
        table.add_row(*_cells(verdict))
    return Group(table, _spreads(seen), *_events(seen))


def _cells(verdict: Verdict) -> tuple[str | Text, ...]:
    rule = verdict.rule
    if verdict.value is None:
        return rule.name, "-", f"{verdict.limit:g}", rule.unit, Text("not measured", "yellow")
    judged = Text("ok", "green") if verdict.ok else Text("FAIL", "bold red")
    return rule.name, f"{verdict.value:.3g}", f"{verdict.limit:g}", rule.unit, judged


def _spreads(seen: Comparison) -> Text:
    rows = (
        ("landmarks", seen.landmarks_px, "px of the frame"),
        ("landmarks", seen.landmarks_percent, "% inter-ocular"),
        ("landmarks", seen.landmarks_crop_px, "px of the crop"),
        ("pose", seen.pose_degrees, "degree"),
        ("confidence", seen.confidence, "probability"),
    )
    lines = [f"  {name}: {_told(spread)} {unit}" for name, spread, unit in rows]
    if seen.jitter is not None:
        jitter = seen.jitter
        lines.append(
            f"  jitter: {jitter.file_px:.3g} px of the crop, {jitter.ratio:.2g} times the "
            f"reference's {jitter.reference_px:.3g}"
        )
    lines.append(
        f"  followed: {seen.paired_frames} of the reference's {seen.reference_frames} faces x "
        f"frames, and {seen.extra_frames} of its own, in {seen.frames} frames"
    )
    return Text("\n".join(lines), style="dim")


def _told(spread: Spread | None) -> str:
    if spread is None:
        return "not measured,"
    return f"median {spread.median:.3g}, p95 {spread.p95:.3g}, max {spread.largest:.3g}"


def _events(seen: Comparison) -> list[Text]:
    """Lost tracks first, in red; then where the two merely differ."""
    lost = [Text(f"  LOST {gap}", style="red") for gap in seen.lost]
    others = [
        f"  {_kind(gap)}: frame {gap.frame} "
        f"({gap.time_s:.2f} s), face {gap.reference_id} of the reference, {gap.frames} frames; "
        f"{gap.outcome}"
        for gap in seen.gaps
        if not gap.lost
    ]
    others += [
        f"  switched: frame {s.frame} ({s.time_s:.2f} s), face {s.reference_id} of the reference "
        f"is {s.after} and no longer {s.before}"
        for s in seen.switches
    ]
    rest = len(others) - TOLD
    more = [f"  and {rest} more"] if rest > 0 else []
    return [*lost, *(Text(line, style="dim") for line in [*others[:TOLD], *more])]


def _kind(gap: Gap) -> str:
    """Why a face that the reference alone tracks is not lost."""
    if gap.larger:
        return "a part of a larger face"
    return "found later" if gap.late else "lost by both"
