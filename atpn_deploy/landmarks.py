"""What the points are: which of the 98 and of the 68 are eye corners and pupils, and how they meet.

98 points are WFLW's markup, 68 that of 300W and 300VW; both count from 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Outer eye corners by number of points; their distance is the inter-ocular distance.
OUTER_EYE_CORNERS = {98: (60, 72), 68: (36, 45)}

#: The points whose mean is a pupil, the one on the left of the image first: 98 points have the
#: pupils themselves, of 68 the six points of each eye surround it.
PUPILS = {98: ((96,), (97,)), 68: (tuple(range(36, 42)), tuple(range(42, 48)))}

#: For each of 300W's 68 points the WFLW point in its place. Sixty are the same point. The eight on
#: the eyelids are neighbours: WFLW divides a lid into four parts where 300W has three, so that they
#: lie 0.7 to 2.4 % of the inter-ocular distance apart (medians over WFLW's test faces).
POINTS_68_OF_98: tuple[int, ...] = (
    *range(0, 33, 2),  # every second point of the jaw
    *range(33, 38),  # upper edges of the brows
    *range(42, 47),
    *range(51, 60),  # nose
    *(60, 61, 63, 64, 65, 67),  # eyes, without the middles of the lids
    *(68, 69, 71, 72, 73, 75),
    *range(76, 96),  # mouth
)


def as_68(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 98, 2) or (..., 68, 2) to (..., 68, 2); 68 points are returned as they are."""
    return points if points.shape[-2] == 68 else points[..., list(POINTS_68_OF_98), :]
