"""Which of the newly detected faces is one that was lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from atpn_deploy.crop import Box

#: A detection further than this from where a face was lost, in mean box sides, is another face:
#: two faces cheek to cheek are 0.7 sides apart, for a box is 1.5 faces wide.
FURTHEST = 0.6
#: A detection more than this times larger or smaller is another face, nearer or further away.
LARGEST_RATIO = 2.0


def matches(lost: Sequence[Box], found: Sequence[Box]) -> list[tuple[int, int]]:
    """Pairs (index in `lost`, index in `found`), nearest first, each index at most once.

    Boxes further apart than FURTHEST, or whose sides differ by more than LARGEST_RATIO, are no
    pair. Of equal distances the one first in `lost`, then in `found`, comes first.
    """
    near = sorted(
        (distance, i, j)
        for i, one in enumerate(lost)
        for j, other in enumerate(found)
        if (distance := apart(one, other)) <= FURTHEST
        and max(one.side, other.side) <= LARGEST_RATIO * min(one.side, other.side)
    )
    pairs: dict[int, int] = {}
    for _, i, j in near:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return list(pairs.items())


def apart(one: Box, other: Box) -> float:
    """The distance of two boxes: that of their centres over the mean of their sides."""
    right = one.left + one.side / 2 - other.left - other.side / 2
    down = one.top + one.side / 2 - other.top - other.side / 2
    return math.hypot(right, down) * 2 / (one.side + other.side)
