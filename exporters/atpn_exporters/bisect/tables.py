"""A bisected file as a rich table for people."""

from __future__ import annotations

from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_exporters.bisect.measure import Damage, Error, Finding
from atpn_exporters.bisect.report import BisectReport
from atpn_exporters.tables import plural

#: Layers that are shown; all of them are in the JSON.
SHOWN = 15
#: Layers that are named for more than rounding.
SUSPECTS = 5
#: Damage below this share of what an int8 file may lose is rounding.
NOTEWORTHY = 0.001


def bisect_table(report: BisectReport) -> RenderableType:
    """The layers that do most damage, and one sentence about them."""
    findings = report.examination.findings
    shown = findings[:SHOWN]
    full = report.worst.damage.pose_degrees is not None
    title = f"layers of {report.path.name} by damage, against {report.model}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rows = [_cells(finding, full) for finding in shown]
    # What is too long for the terminal is cut from the operators' names.
    table.add_column("layer, operators")
    headings = ("px", *(("°", "prob.") if full else ()), "isolated", "cumulative")
    for place, heading in enumerate(headings, 1):
        width = max(len(str(text)) for text in (heading, *(row[place] for row in rows)))
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*row)
    lines = [Text(verdict(report), style="bold")]
    if suspects := beyond_rounding(report):
        lines.append(Text(suspects, style="bold yellow"))
    lines += [Text(note, style="yellow") for note in report.notes]
    lines.append(Text(f"{plural(len(report.crops), 'golden face')}, {report.runtime}", style="dim"))
    if len(findings) > SHOWN:
        lines.append(Text(f"{len(findings) - SHOWN} more layers in {report.json_path.name}"))
    return Group(table, *lines)


def verdict(report: BisectReport) -> str:
    """Which layer is the worst, what it costs alone and what the whole file is off by."""
    worst, whole = report.worst, report.examination.whole
    total = (
        f"the file as a whole does not run: {report.examination.problem}"
        if whole is None
        else f"the whole file is off by {amounts(whole)}"
    )
    if worst.problem:
        return f"{worst.layer.name} fails: {worst.problem}; {total}"
    if not worst.damage.score >= NOTEWORTHY:
        return f"no layer does more than rounding; {total}"
    return f"{worst.layer.name} alone costs {amounts(worst.damage)}; {total}"


def beyond_rounding(report: BisectReport) -> str:
    """The quantised layers that rounding does not explain, worst first; empty if there is none."""
    found = [f for f in report.examination.findings if f.beyond_rounding]
    found.sort(key=lambda f: -(f.steps or 0.0))
    named = ", ".join(f"{f.layer.name} ({f.steps or 0.0:.2g} steps)" for f in found[:SUSPECTS])
    more = f" and {len(found) - SUSPECTS} more" if len(found) > SUSPECTS else ""
    return f"off by more than rounding explains (0.29 steps): {named}{more}" if found else ""


def amounts(damage: Damage) -> str:
    """`0.35 px, 0.15 degrees, 7e-05 probability`."""
    texts = [f"{damage.landmarks_px:.2g} px"]
    if damage.pose_degrees is not None:
        texts.append(f"{damage.pose_degrees:.2g} degrees")
    if damage.confidence is not None:
        texts.append(f"{damage.confidence:.2g} probability")
    return ", ".join(texts)


def _cells(finding: Finding, full: bool) -> list[str | Text]:
    damage = finding.damage
    numbers = [damage.landmarks_px]
    if full:
        numbers += [
            value for value in (damage.pose_degrees, damage.confidence) if value is not None
        ]
    return [
        Text.assemble(
            finding.layer.name,
            (f" {_counted(finding.layer.computing)}", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        ),
        *(f"{number:.2g}" for number in numbers),
        _percent(finding.isolated),
        "not run" if finding.cumulative is None else _percent(finding.cumulative),
    ]


def _counted(labels: tuple[str, ...]) -> str:
    """In order, equal ones counted."""
    counts = Counter(labels)
    return ", ".join(label if n == 1 else f"{label} x{n}" for label, n in counts.items())


def _percent(error: Error) -> str:
    return f"{100 * error.relative:.2g} %" if error.finite else "NaN or infinite"
