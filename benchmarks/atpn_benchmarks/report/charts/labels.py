"""Labels beside points: where each can stand without touching another, a point or the frame."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Widths in ems of DejaVu Sans, the widest of the fonts a browser may take; the rest is 0.62.
WIDTHS = {
    **dict.fromkeys("fijltrI.,:;|!'()[]/ -", 0.42),
    **dict.fromkeys("mwMW@%\N{HORIZONTAL ELLIPSIS}", 1.02),
    **dict.fromkeys("ABCDEFGHKNOPQRSUVXYZ_&#<>=+~", 0.84),
}
#: Distances from a point's edge at which a label is tried, in pixels; beyond the first with a line.
REACHES = (5, 14, 26, 42, 60)
#: Step along a line in pixels, and how many steps of it lie within the point that it comes from.
BEAD = 3.0
NEAR = 5
#: Directions in which it is tried: right, left, above, below, then the corners.
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Box) -> bool:
        """Whether the two have an area in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether the other lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True)
class Anchor:
    """A point that wants a label."""

    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True)
class Label:
    """Text in its place; a line from the point leads to it where it stands apart."""

    text: str
    x: float  # of its left edge
    y: float  # of its base line
    box: Box
    line: tuple[float, float, float, float] | None


def text_width(text: str, size: float) -> float:
    """Pixels that a text takes at most at a font size in pixels."""
    wide = sum(
        1.05 if unicodedata.east_asian_width(letter) in "WF" else WIDTHS.get(letter, 0.66)
        for letter in text
    )
    return size * wide


def place(
    anchors: Sequence[Anchor], points: Iterable[Box], frame: Box, size: float, *, far: bool
) -> tuple[Label | None, ...]:
    """A label for each anchor, first come first served; None where there is no room.

    `points` are areas that no label may cover, beside the anchors' own. Labels may stand `far`
    from their points, where that does not make a thicket of lines.
    """
    taken = [*points, *(_around(anchor) for anchor in anchors)]
    placed: list[Label | None] = []
    for anchor in anchors:
        label = _place_one(anchor, taken, frame, size, REACHES if far else REACHES[:2])
        placed.append(label)
        if label is not None:
            taken += [label.box, *_along(label.line)]
    return tuple(placed)


def _along(line: tuple[float, float, float, float] | None) -> list[Box]:
    """Small boxes strung along a line from its point."""
    if line is None:
        return []
    x1, y1, x2, y2 = line
    steps = max(int(math.hypot(x2 - x1, y2 - y1) / BEAD), 1)
    spots = ((x1 + (x2 - x1) * n / steps, y1 + (y2 - y1) * n / steps) for n in range(steps))
    return [Box(x - 1, y - 1, x + 1, y + 1) for x, y in spots]


def _around(anchor: Anchor) -> Box:
    r = anchor.radius
    return Box(anchor.x - r, anchor.y - r, anchor.x + r, anchor.y + r)


def _place_one(
    anchor: Anchor, taken: Sequence[Box], frame: Box, size: float, reaches: Sequence[int]
) -> Label | None:
    width, height = text_width(anchor.text, size), 1.25 * size
    for reach in reaches:
        for dx, dy in DIRECTIONS:
            far = anchor.radius + reach
            x, y = anchor.x + dx * far, anchor.y + dy * far
            left = x - width * (1 - dx) / 2
            top = y - height * (1 - dy) / 2
            box = Box(left, top, left + width, top + height)
            line = None if reach == REACHES[0] else (anchor.x, anchor.y, round(x, 1), round(y, 1))
            boxes = [box, *_along(line)[NEAR:]]
            if frame.holds(box) and not any(a.touches(b) for a in boxes for b in taken):
                return Label(anchor.text, round(left, 1), round(top + 0.98 * size, 1), box, line)
    return None
