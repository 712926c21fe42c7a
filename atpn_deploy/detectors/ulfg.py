"""Ultra-Light-Fast-Generic (slim, 320 x 240): anchors of ten sizes on four grids."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.detectors.detector import Placement
from atpn_deploy.detectors.face_network import FaceNetwork, Floats, Outputs
from atpn_deploy.detectors.network_file import FileTensor
from atpn_deploy.detectors.suppression import best_of_each

#: Sides of the grids' cells and of the anchors in a cell's middle, in pixels of the window.
GRIDS = ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256)))
#: What a predicted centre and the predicted logarithm of a size are multiplied by.
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


def prepare(window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """R, G and B from about -1 to 1."""
    return np.asarray((window - np.float32(127)) / 128, np.float32)


@cache
def anchors(window: tuple[int, int]) -> Floats:
    """(N, 3) anchors (centre x, y, side) in pixels of the window, grid by grid, row by row."""
    placed = []
    for stride, sides in GRIDS:
        columns, rows = (math.ceil(length / stride) for length in window)
        row, column = np.divmod(np.arange(rows * columns), columns)
        middle = np.repeat((np.stack((column, row), -1) + 0.5) * stride, len(sides), 0)
        placed.append(np.column_stack((middle, np.tile(sides, rows * columns))))
    return np.concatenate(placed)


def decode(outputs: Outputs, window: tuple[int, int]) -> tuple[Floats, Floats]:
    """Boxes and scores, see FaceNetwork.

    An anchor predicts its box's centre as an offset from its own, and the logarithm of the box's
    size, in sides of the anchor.
    """
    offset = outputs["Identity"][0].astype(np.float64)  # (N, 4)
    placed = anchors(window)
    side = placed[:, 2:]
    centre = placed[:, :2] + offset[:, :2] * CENTRE_VARIANCE * side
    size = side * np.exp(offset[:, 2:] * SIZE_VARIANCE)
    return np.hstack((centre, size)), outputs["Identity_1"][0, :, 1].astype(np.float64)


ULFG = FaceNetwork(
    "ulfg",
    ".tflite",
    inputs=(FileTensor("input_1", (1, 240, 320, 3)),),
    # Box of each anchor; probabilities of background and face. The file leaves their number open.
    outputs=(FileTensor("Identity", (0, 0, 4)), FileTensor("Identity_1", (0, 0, 2))),
    planes=False,
    prepare=prepare,
    decode=decode,
    merge=best_of_each,
    same_face=0.3,  # the authors' demo
    # Medians over 1,091 training faces of WIDER FACE with 98 points; standard deviations 0.12,
    # 0.05 and 0.06.
    placement=Placement(1.34, 0.0, 0.15),
    threshold=0.5,
)
