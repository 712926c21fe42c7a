"""Display matrices: how a phone says that its pictures lie on their side, and turning them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def turn_upright(image: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Turn and mirror (H, W, 3) as a display matrix demands; None leaves it as it is.

    `matrix` are the nine numbers of an MP4's `tkhd` box, row by row: a stored point (x, y) is
    shown at (a x + c y, b x + d y) plus a shift, with a, b in the first row and c, d in the
    second. Angles between the right ones are taken to the nearest: no pixel is resampled.
    """
    if matrix is None:
        return np.ascontiguousarray(image)
    a, b, c, d = (int(matrix[k]) for k in (0, 1, 3, 4))
    if lies_on_its_side(matrix):
        image = image.transpose(1, 0, 2)
        across, down = c, b
    else:
        across, down = a, d
    if across < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def lies_on_its_side(matrix: NDArray[np.int32] | None) -> bool:
    """Whether the stored width is the height that is shown."""
    if matrix is None:
        return False
    a, b, c, d = (abs(int(matrix[k])) for k in (0, 1, 3, 4))
    return b + c > a + d
