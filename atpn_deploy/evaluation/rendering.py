"""Tables of results drawn: for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.cells import DASH, Cell, Column, Row, Table

#: Raised when a field of the JSON changes its meaning.
TABLES_VERSION = 1
#: Characters of a terminal that the rows' labels get at least; longer ones are folded.
LABEL_WIDTH = 24
STYLES = {"best": "bold", "second": "underline", "": ""}
ROW_STYLES = {"paper": "dim", "ours": "", "difference": "italic"}


def to_terminal(table: Table) -> RenderableType:
    """For rich: best is bold, second best underlined, the paper's rows are dim.

    A table that is wider than the terminal is cut between the spans of its columns, and where that
    is not enough into equal parts of a span.
    """
    return _Fitting(table)


class _Fitting:
    """The whole table where it fits, else as many parts as it takes; the notes once below."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def fits(part: RichTable) -> bool:
            wide = options.update(max_width=10_000)
            return Measurement.get(console, wide, part).minimum <= options.max_width

        whole = _drawn(self.table, 0, len(self.table.columns), two_lines=_has_spans(self.table))
        yield Text(self.table.title, style="bold")
        if fits(whole):
            yield whole
        else:
            for span, first, end in spans(self.table.columns):
                yield Text(f"\n{span}" if span else "", style="bold")
                yield from self._parts(first, end, fits)
        for note in self.table.notes:
            yield Text(note, style="dim")

    def _parts(self, first: int, end: int, fits: Callable[[RichTable], bool]) -> list[RichTable]:
        """The columns of one span in the fewest equal parts that fit; single ones if none do."""
        parts: list[RichTable] = []
        for count in range(1, end - first + 1):
            cuts = [first + (end - first) * k // count for k in range(count + 1)]
            pairs = itertools.pairwise(cuts)
            parts = [_drawn(self.table, a, b, two_lines=False) for a, b in pairs]
            if all(fits(part) for part in parts):
                break
        return parts


def _has_spans(table: Table) -> bool:
    return any(column.span for column in table.columns)


def spans(columns: Sequence[Column]) -> list[tuple[str, int, int]]:
    """Neighbouring columns under one head: its text, the first column, the one after the last."""
    found, start = [], 0
    for span, members in itertools.groupby(columns, lambda column: column.span):
        end = start + len(list(members))
        found.append((span, start, end))
        start = end
    return found


def _drawn(table: Table, first: int, end: int, *, two_lines: bool) -> RichTable:
    """Some columns of a table, without its title; rows that have nothing in them are left out."""
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    drawn.add_column(table.label, overflow="fold", min_width=LABEL_WIDTH)
    for head in _heads(table.columns[first:end], two_lines):
        drawn.add_column(head, justify="right", no_wrap=True)
    group = ""
    for row in table.rows:
        cells = row.cells[first:end]
        if all(cell.text == DASH for cell in cells):
            continue
        if row.group != group:
            if group:
                drawn.add_section()
            drawn.add_row(Text(row.group, style="bold"))
            group = row.group
        drawn.add_row(
            Text(row.label),
            *(Text(cell.text, style=STYLES[cell.mark]) for cell in cells),
            style=ROW_STYLES[row.kind],
        )
    return drawn


def _heads(columns: Sequence[Column], two_lines: bool) -> list[str]:
    """The columns' names, under their span where asked; a span stands over its first column."""
    if not two_lines:
        return [column.name for column in columns]
    starts = {first: span for span, first, _ in spans(columns)}
    return [f"{starts.get(i, '')}\n{column.name}" for i, column in enumerate(columns)]


def to_markdown(table: Table) -> str:
    """A Markdown section: best is bold, second best in italics; ends in a newline."""
    grouped = any(row.group for row in table.rows)
    heads = [*([""] if grouped else []), table.label]
    heads += [f"{c.span}: {c.name}" if c.span else c.name for c in table.columns]
    rule = ["---"] * (len(heads) - len(table.columns)) + ["---:"] * len(table.columns)
    lines = [_line(heads), "|" + "|".join(rule) + "|"]
    before = ""
    for row in table.rows:
        group = [row.group if row.group != before else ""] if grouped else []
        before = row.group
        lines.append(_line([*group, _named(row), *(_marked(cell) for cell in row.cells)]))
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"### {table.title}\n\n" + "\n".join(lines) + "\n" + notes


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _named(row: Row) -> str:
    """Names of files, and differences of them, are in code type."""
    return f"`{row.label}`" if row.kind != "paper" and "." in row.label else row.label


def _marked(cell: Cell) -> str:
    return {"best": f"**{cell.text}**", "second": f"*{cell.text}*", "": cell.text}[cell.mark]


def to_json(tables: Sequence[Table]) -> str:
    """All tables as one JSON text, values unrounded."""
    content = {"tables_version": TABLES_VERSION, "tables": [table.to_dict() for table in tables]}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> list[Table]:
    """Read `to_json` back; DatasetError for other text."""
    try:
        content = json.loads(text)
        version = content["tables_version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DatasetError(f"no tables of results: {error}; write them with atpn-eval") from error
    if version != TABLES_VERSION:
        raise DatasetError(
            f"the tables have version {version}; this one reads {TABLES_VERSION}: "
            "write them again with atpn-eval"
        )
    return [Table.from_dict(values) for values in content["tables"]]
