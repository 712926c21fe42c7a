"""A table of results before it is drawn: cells that know their value, their text and their rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from atpn_deploy.errors import DatasetError

Better = Literal["lower", "higher", ""]
Mark = Literal["", "best", "second"]
#: Whose row it is: printed in the paper, measured here, or one measurement minus another.
Kind = Literal["paper", "ours", "difference"]

#: What the paper's own figures are called beside ours.
PAPER = "the paper"
#: What stands where nothing was measured.
DASH = "-"
ARROWS: dict[Better, str] = {"lower": " ↓", "higher": " ↑", "": ""}


@dataclass(frozen=True)
class Measure:
    """A quantity as the paper prints it."""

    name: str
    unit: str  # behind every value: "", "%", "°"
    decimals: int
    better: Better

    @property
    def heading(self) -> str:
        """The name, its unit and which way is better, such as "NME (%) ↓"."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.name}{unit}{ARROWS[self.better]}"

    def cell(self, value: float | None) -> Cell:
        """A measured value; None and NaN are not measured."""
        if value is None or math.isnan(value):
            return Cell(DASH)
        return Cell(f"{value:,.{self.decimals}f}", float(value), self.better)

    def difference(self, value: float | None, reference: float | None) -> Cell:
        """How much `value` is above `reference`, with its sign; a dash where either is missing."""
        if value is None or reference is None or math.isnan(value - reference):
            return Cell(DASH)
        text = f"{value - reference:+,.{self.decimals}f}"
        zero = f"{0:.{self.decimals}f}"
        return Cell(zero if text.lstrip("+-") == zero else text, float(value - reference))


@dataclass(frozen=True)
class Cell:
    """One place of a table."""

    text: str
    value: float | None = None
    better: Better = ""  # empty: not ranked
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """One line: `group` is the block it stands in, such as the metric in table 1."""

    label: str
    cells: tuple[Cell, ...]
    kind: Kind
    group: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column; neighbours with the same `span` stand under it together."""

    name: str
    span: str = ""


@dataclass(frozen=True)
class Table:
    """What a renderer draws: rows of the same group follow one another."""

    title: str
    label: str  # heads the rows' labels
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"{self.title}: row {row.label!r} has {len(row.cells)} cells; "
                    f"expected {len(self.columns)}"
                )

    def column(self, index: int) -> tuple[Cell, ...]:
        """The cells of one column from top to bottom."""
        return tuple(row.cells[index] for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Table:
        """Read `to_dict` back, from JSON too; DatasetError for what is no table."""
        try:
            return cls(
                values["title"],
                values["label"],
                tuple(Column(**column) for column in values["columns"]),
                tuple(
                    Row(
                        row["label"],
                        tuple(Cell(**cell) for cell in row["cells"]),
                        row["kind"],
                        row["group"],
                    )
                    for row in values["rows"]
                ),
                tuple(values["notes"]),
            )
        except (KeyError, TypeError) as error:
            raise DatasetError(f"no table of results: {error}; write it again") from error


#: A row before it is printed: its label and a value a column, None where not measured.
Line = tuple[str, Sequence[float | None]]
#: Two labels: the first minus the second is a row of differences.
Pair = tuple[str, str]


def rows_of(
    measures: Sequence[Measure],
    paper: Sequence[Line],
    ours: Sequence[Line],
    pairs: Sequence[Pair] = (),
    group: str = "",
) -> tuple[Row, ...]:
    """The paper's lines, ours, then the differences of the pairs of ours; one measure a column."""
    rows = [Row(label, _cells(measures, values), "paper", group) for label, values in paper]
    rows += [Row(label, _cells(measures, values), "ours", group) for label, values in ours]
    found = dict(ours)
    for one, other in pairs:
        if one in found and other in found:
            rows.append(
                Row(
                    f"{one} minus {other}",
                    tuple(
                        measure.difference(a, b)
                        for measure, a, b in zip(measures, found[one], found[other], strict=True)
                    ),
                    "difference",
                    group,
                )
            )
    return tuple(rows)


def _cells(measures: Sequence[Measure], values: Sequence[float | None]) -> tuple[Cell, ...]:
    return tuple(measure.cell(value) for measure, value in zip(measures, values, strict=True))


def ranked(rows: Sequence[Row], *, second: bool) -> tuple[Row, ...]:
    """Mark the best value of each column and, if asked, the second best; ties share a mark.

    Rows of one group and kind are compared: what the paper prints and what was measured here are
    ranked apart, for they are seldom on the same faces. Ranks follow the printed text, so that
    equal texts get equal marks; where there is but one value, none is best.
    """
    marked: dict[int, tuple[Mark, ...]] = {}
    for key in {(row.group, row.kind) for row in rows}:
        members = [i for i, row in enumerate(rows) if (row.group, row.kind) == key]
        columns = zip(*(rows[i].cells for i in members), strict=True)
        by_row = zip(*(_marks(column, second) for column in columns), strict=True)
        marked.update(zip(members, by_row, strict=True))
    return tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, mark=mark) for cell, mark in zip(row.cells, marked[i], strict=True)
            ),
        )
        for i, row in enumerate(rows)
    )


def _marks(column: Sequence[Cell], second: bool) -> list[Mark]:
    """The mark of each cell of one column."""
    printed = [_printed(cell) for cell in column]
    known = [value for value in printed if value is not None]
    if len(set(known)) < 2:
        return [""] * len(column)
    higher = any(cell.better == "higher" for cell in column)
    order = sorted(set(known), reverse=higher)
    runner_up = order[1] if second and len(order) > 1 and known.count(order[0]) == 1 else None
    marks: dict[float | None, Mark] = {runner_up: "second", order[0]: "best"}
    marks[None] = ""
    return [marks.get(value, "") for value in printed]


def _printed(cell: Cell) -> float | None:
    """The value as printed; None where the cell is not ranked."""
    return float(cell.text.replace(",", "")) if cell.better and cell.value is not None else None
