"""A table before it is HTML, Markdown or text: heads with units, cells with what they sort by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from atpn_benchmarks.report.digits import NONE

#: What a cell says beside its text. "good" and "bad": beyond what chance would show.
Tone = Literal["", "good", "bad", "muted", "warn"]


@dataclass(frozen=True)
class Head:
    """A column."""

    key: str
    text: str
    unit: str = ""
    numeric: bool = True
    explained: str = ""  # in a sentence


@dataclass(frozen=True)
class Cell:
    """One place."""

    text: str
    sort: float | str  # NaN sorts last, whichever way
    tone: Tone = ""
    note: str = ""  # smaller, beneath
    badge: str = ""  # a state before the text

    @property
    def plain(self) -> str:
        """Badge and text as one."""
        return " ".join(filter(None, (self.badge, self.text)))


@dataclass(frozen=True)
class Sheet:
    """A table with its name."""

    key: str
    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def only(self, *keys: str) -> Sheet:
        """The same with these columns alone, in this order."""
        index = {head.key: place for place, head in enumerate(self.heads)}
        kept = [index[key] for key in keys if key in index]
        return replace(
            self,
            heads=tuple(self.heads[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )

    def beside(self, other: Sheet) -> Sheet:
        """Both as one; their rows are those of the same files."""
        rows = zip(self.rows, other.rows, strict=True)
        return replace(
            self, heads=self.heads + other.heads, rows=tuple(left + right for left, right in rows)
        )


def words(text: str, tone: Tone = "", *, note: str = "", badge: str = "") -> Cell:
    """A cell that sorts as text does, upper and lower case alike."""
    return Cell(text, text.casefold(), tone, note, badge)


def figure(text: str, value: float, tone: Tone = "", *, note: str = "") -> Cell:
    """A cell that sorts by its value."""
    return Cell(text, value, tone, note)


#: A figure that does not exist.
MISSING = Cell(NONE, math.nan, "muted")
