"""Reports as rich tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from atpn_deploy.parity import Row
from atpn_exporters.lint.finding import Finding
from atpn_exporters.report import ExportReport
from atpn_exporters.target import Target
from atpn_exporters.verification import Verification

#: Places that are shown of a rule that is broken in many; the JSON holds them all.
PLACES = 5


def report_table(report: ExportReport) -> RenderableType:
    """One export, fact by fact, then its parity rows."""
    facts = Table(title=f"{report.path}", title_justify="left", show_header=False, box=None)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    facts.add_row("target", f"{report.target}, {report.model}, signature {report.signature}")
    facts.add_row("scheme", report.facts.scheme)
    facts.add_row("size", f"{report.size_bytes:,} bytes, sha256 {report.sha256[:16]}...")
    facts.add_row("float operators", counted(report.facts.float_operators) or "none")
    if report.facts.partitions is not None:
        outside = counted(report.facts.undelegated)
        facts.add_row(
            "XNNPACK",
            f"{plural(report.facts.partitions, 'partition')}, "
            + (f"outside: {outside}" if outside else "every operator inside"),
        )
    facts.add_row("TRANSPOSE", str(report.facts.transposes))
    manifest = report.metadata.get("calibration")
    if manifest:
        facts.add_row(
            "calibration",
            f"{manifest['count']} crops ({manifest['source']}), {manifest['observer']}, "
            f"sha256 {manifest['crops_sha256'][:16]}...",
        )
    if report.speed_verdict:
        facts.add_row("speed", report.speed_verdict)
    for warning in report.warnings:
        facts.add_row("warning", Text(warning, style="yellow"))
    for finding in report.findings:
        facts.add_row("lint", Text(finding.line, style="yellow"))
    facts.add_row(
        "made in", f"{report.seconds:.0f} s, at most {report.peak_bytes / 2**20:,.0f} MB of memory"
    )
    return Group(facts, *(parity_table(v) for v in report.verifications))


def parity_table(verification: Verification) -> RenderableType:
    """Every limit with what was measured, then the reasons for the limits."""
    if verification.not_run:
        return Text(f"  {verification.runtime}: not run: {verification.not_run}", style="yellow")
    title = f"parity on {verification.runtime}, kernels {verification.family}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("output", "statistic", "over", "error", "limit", "unit", ""):
        table.add_column(column, justify="right" if column in ("error", "limit") else "left")
    _add_rows(table, verification.rows, "")
    _add_rows(table, verification.kernel_rows, " (recorded)")
    if not verification.varies:
        table.add_row("all", "", "", "", "", "", Text("FAIL: " + verification.complaint, "red"))
    reasons: dict[str, dict[str, None]] = {}  # reason to the outputs it is for, in order
    for row in (*verification.rows, *verification.kernel_rows):
        reasons.setdefault(row.reason, {})[row.output] = None
    lines = [f"  {', '.join(outputs)}: {reason}" for reason, outputs in reasons.items()]
    return Group(table, Text("\n".join(lines), style="dim"))


def _add_rows(table: Table, rows: Iterable[Row], note: str) -> None:
    for row in rows:
        verdict = Text("ok", style="green") if row.ok else Text("FAIL", style="bold red")
        table.add_row(
            row.output + note,
            row.statistic,
            row.scope,
            f"{row.error:.2g}",
            f"{row.limit:g}",
            row.unit,
            verdict,
        )


def lint_table(linted: Mapping[str, Sequence[Finding]]) -> RenderableType:
    """By target, every broken rule with its sentence, its worst places and what to do."""
    parts: list[RenderableType] = []
    for name, findings in linted.items():
        parts.append(Text(name, style="bold"))
        for finding in findings:
            parts += _lint_lines(finding)
        if not findings:
            parts.append(Text("  nothing found", style="green"))
    return Group(*parts)


def _lint_lines(finding: Finding) -> list[RenderableType]:
    """One rule: the sentence, at most PLACES places, the fix."""
    left = len(finding.spots) - PLACES
    places = [f"- {spot.module or 'the graph'}: {spot.note}" for spot in finding.spots[:PLACES]]
    if left > 0:
        places.append(f"- and {left} more")
    return [
        Text(f"{finding.rule} {finding.name}", style="bold yellow"),
        Padding(finding.sentence, (0, 0, 0, 2)),
        *(Padding(Text(place), (0, 0, 0, 2)) for place in places),
        Padding(Text(finding.fix, style="dim"), (0, 0, 0, 2)),
    ]


def target_table(targets: Iterable[Target]) -> Table:
    """Every format and quantisation, what it needs and whether that is installed here."""
    table = Table(box=None, pad_edge=False)
    for column in ("format", "quantize", "signature", "installed here", "what it is"):
        table.add_column(column, overflow="fold")
    for target in targets:
        absent = target.missing()
        state = (
            Text("yes", style="green")
            if not absent
            else Text(f"needs {', '.join(absent)}: {target.pip_line}", style="yellow")
        )
        table.add_row(
            target.format, target.quantization, ", ".join(target.signatures), state, target.summary
        )
    return table


def counted(operators: Mapping[str, int]) -> str:
    """{"TANH": 1, "MUL": 3} as "MUL x3, TANH"."""
    return ", ".join(
        name if count == 1 else f"{name} x{count}" for name, count in sorted(operators.items())
    )


def plural(count: int, noun: str) -> str:
    """1 partition, 2 partitions."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
