"""A flatbuffer read by its schema's field numbers, with nothing but the standard library.

For files whose own reader would need a converter, or would crash on damaged bytes: what leads out
of the bytes here raises struct.error, IndexError or UnicodeDecodeError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any


class Table:
    """One table. Fields are counted from 0; a union takes two, its type and then its value."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._position = position
        self._fields = position - self._number("<i", position)
        self._count = (self._number("<H", self._fields) - 4) // 2

    @classmethod
    def root(cls, content: bytes) -> Table:
        """The table that a flatbuffer begins with."""
        if len(content) < 8:
            raise IndexError(f"a flatbuffer has 8 bytes or more, this one {len(content)}")
        return cls(content, struct.unpack_from("<I", content, 0)[0])

    def _number(self, kind: str, position: int) -> Any:
        if position < 0:
            raise IndexError(f"an offset leads to {position}")
        return struct.unpack_from(kind, self._content, position)[0]

    def _place(self, field: int) -> int:
        """Where a field lies; 0 if the table does not hold it."""
        if field >= self._count:
            return 0
        offset = int(self._number("<H", self._fields + 4 + 2 * field))
        return self._position + offset if offset else 0

    def _follow(self, field: int) -> int:
        """Where the offset that a field holds leads to; 0 if the table does not hold it."""
        place = self._place(field)
        return place + int(self._number("<I", place)) if place else 0

    def has(self, field: int) -> bool:
        """Whether the table holds the field."""
        return self._place(field) != 0

    def number(self, field: int, kind: str = "<I") -> int:
        """A scalar of a `struct` format; 0 by default."""
        place = self._place(field)
        return int(self._number(kind, place)) if place else 0

    def text(self, field: int) -> str:
        """A string; empty by default."""
        start = self._follow(field)
        if not start:
            return ""
        end = start + 4 + int(self._number("<I", start))
        if end > len(self._content):
            raise IndexError(f"a text ends at {end} of {len(self._content)} bytes")
        return self._content[start + 4 : end].decode()

    def table(self, field: int) -> Table:
        """A table; IndexError if the field is not set."""
        start = self._follow(field)
        if not start:
            raise IndexError(f"field {field} is not set")
        return Table(self._content, start)

    def numbers(self, field: int) -> tuple[int, ...]:
        """A list of 32-bit integers."""
        start = self._follow(field)
        if not start:
            return ()
        count = int(self._number("<I", start))
        if start + 4 + 4 * count > len(self._content):
            raise IndexError(f"a list of {count} leads out of {len(self._content)} bytes")
        return struct.unpack_from(f"<{count}i", self._content, start + 4)

    def tables(self, field: int) -> Iterator[Table]:
        """A list of tables."""
        start = self._follow(field)
        for index in range(int(self._number("<I", start)) if start else 0):
            place = start + 4 + 4 * index
            yield Table(self._content, place + int(self._number("<I", place)))
