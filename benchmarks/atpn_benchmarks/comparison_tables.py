"""A comparison as tables for the terminal, as Markdown, and as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.comparison import Change, Comparison, Reference
from atpn_benchmarks.fact_changes import FactChange, Value
from atpn_benchmarks.history_tables import minute
from atpn_benchmarks.slowness_gate import Gate
from atpn_exporters.tables import plural

#: Raised when a field of the JSON changes its meaning.
COMPARISON_VERSION = 1
#: What is said of a row whose interval holds 1.0.
NOISE = "no change that can be told apart from noise"
WITHIN = "within noise"

TIME_COLUMNS = ("file", "then ms", "now ms", "ratio (95 % interval)", "")
FACT_COLUMNS = ("file", "what", "then", "now", "unit")
COLOURS = {"slower": "red", "faster": "green"}


def comparison_table(comparison: Comparison, gate: Gate | None = None) -> RenderableType:
    """Everything, for a terminal."""
    parts: list[RenderableType] = [Text(_heading(comparison))]
    for reference, changes in _by_threads(comparison):
        parts += [Text(), Text(_divided(reference), "bold"), _times(changes)]
    if comparison.facts:
        facts = Table(box=SIMPLE_HEAD)
        for column in FACT_COLUMNS:
            facts.add_column(column, overflow="fold")
        for fact in comparison.facts:
            facts.add_row(*map(Text, _fact_cells(fact)))  # names are no markup
        parts.append(facts)
    parts += [Text(line) for line in _remarks(comparison)]
    parts += [Text(f"warning: {warning}", "yellow") for warning in comparison.warnings]
    if gate is not None:
        parts += [Text(line, "red" if gate.exit_status else "green") for line in gate_lines(gate)]
    return Group(*parts)


def comparison_markdown(comparison: Comparison, gate: Gate | None = None) -> str:
    """The same for a pull request or a document."""
    lines = [_heading(comparison) + "\n"]
    for reference, changes in _by_threads(comparison):
        lines.append(_divided(reference) + "\n")
        lines += _markdown(TIME_COLUMNS, [_time_cells(change) for change in changes])
    if comparison.facts:
        lines += _markdown(FACT_COLUMNS, [_fact_cells(fact) for fact in comparison.facts])
    remarks = [*_remarks(comparison), *(f"warning: {text}" for text in comparison.warnings)]
    remarks += gate_lines(gate) if gate is not None else []
    return "\n".join([*lines, *(f"- {_escaped(line)}" for line in remarks)]) + "\n"


def comparison_dict(comparison: Comparison, gate: Gate | None = None) -> dict[str, Any]:
    """The same as plain values; a figure that is not finite is null."""
    changes = [asdict(change) | {"verdict": change.verdict} for change in comparison.changes]
    found = {"comparison_version": COMPARISON_VERSION} | asdict(comparison) | {"changes": changes}
    if gate is not None:
        found["gate"] = asdict(gate) | {"exit_status": gate.exit_status}
    return {key: _finite(value) for key, value in found.items()}


def gate_lines(gate: Gate) -> list[str]:
    """The verdict, a line for each row that does not pass."""
    lines = [
        f"slower by more than {gate.limit:.1%}: {change.name} on "
        f"{plural(change.threads, 'thread')}, {change.ratio.value:.3f} x "
        f"({change.ratio.low:.3f} to {change.ratio.high:.3f})"
        for change in gate.slower
        if change.ratio is not None
    ]
    lines += [f"can't be told: {sentence}" for sentence in gate.unsure]
    total = gate.passed + len(lines)
    return [*lines, f"{gate.passed} of {plural(total, 'row')} not slower by {gate.limit:.1%}"]


def _heading(comparison: Comparison) -> str:
    old, new = comparison.old, comparison.new
    return (
        f"{new.source} of {minute(new.started_at)} against {old.source} of "
        f"{minute(old.started_at)}, on {comparison.machine.cpu or 'an unknown processor'}"
    )


def _by_threads(comparison: Comparison) -> Iterator[tuple[Reference, list[Change]]]:
    for reference in comparison.references:
        yield reference, [c for c in comparison.changes if c.threads == reference.threads]


def _times(changes: Sequence[Change]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column(TIME_COLUMNS[0], overflow="fold")
    for column in TIME_COLUMNS[1:]:  # figures are not folded
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for change in changes:
        table.add_row(*map(Text, _time_cells(change)), style=COLOURS.get(change.verdict))
    return table


def _divided(reference: Reference) -> str:
    """What the ratios on so many threads are relative to, and what files move of their own."""
    own = reference.run_to_run
    on = f", {own.files} unchanged files" if own.files else ""
    scatter = f"from run to run a file moves by {own.share:.1%} ({own.source}{on})"
    threads = plural(reference.threads, "thread")
    if not reference.names:
        return f"{threads}, relative to nothing; {scatter}"
    what = reference.names[0]
    if len(reference.names) > 1:
        what = f"{len(reference.names)} unchanged files"
    return f"{threads}, relative to {what}, which moved by {reference.moved - 1:+.1%}; {scatter}"


def _time_cells(change: Change) -> tuple[str, ...]:
    name = change.name if change.same_file else f"{change.name} *"
    cells = (name, _ms(change.old_p50_s), _ms(change.new_p50_s))
    ratio = change.ratio
    if ratio is None:
        return (*cells, "1", "the reference")
    interval = f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
    return (*cells, interval, change.verdict or WITHIN)


def _fact_cells(fact: FactChange) -> tuple[str, ...]:
    what = f"{fact.what} (measured once)" if fact.once else fact.what
    unit = "ms" if fact.unit == "s" else fact.unit
    return fact.name, what, _value(fact.old, fact.unit), _value(fact.new, fact.unit), unit


def _value(value: Value, unit: str) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _ms(value) if unit == "s" else f"{value:.3g}"
    return value or "none"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def _remarks(comparison: Comparison) -> Iterator[str]:
    """What stands in no table."""
    missed = {row.name for row in comparison.not_compared}
    for row in comparison.not_compared:
        yield f"not compared: {row.name} on {plural(row.threads, 'thread')}: {row.reason}"
    for which, names in (("first", comparison.only_old), ("second", comparison.only_new)):
        if alone := [name for name in names if name not in missed]:
            yield f"only in the {which} run: {', '.join(alone)}"
    if not comparison.changes:
        yield "no file was timed validly in both runs"
    if any(change.ratio and not change.verdict for change in comparison.changes):
        yield f"{WITHIN}: {NOISE}"
    if any(change.verdict for change in comparison.changes):
        yield "of rows that did not change, one in twenty is called faster or slower by chance"
    if not all(change.same_file for change in comparison.changes):
        yield "* not the same bytes as in the first run"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """One table, with the empty line that ends it."""
    body = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body, ""]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
