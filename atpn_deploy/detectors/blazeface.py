"""MediaPipe's BlazeFace for short range: 896 anchors on a window of 128 pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.detectors.detector import Placement
from atpn_deploy.detectors.face_network import FaceNetwork, Floats, Outputs
from atpn_deploy.detectors.network_file import FileTensor
from atpn_deploy.detectors.suppression import mean_of_each

#: Sides of the grids' cells in pixels of the window, and how many anchors lie in a cell's middle.
GRIDS = ((8, 2), (16, 6))


def prepare(window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """R, G and B from -1 to 1."""
    return np.asarray(window / np.float32(127.5) - 1, np.float32)


@cache
def anchors(window: tuple[int, int]) -> Floats:
    """(N, 2) centres (x, y) of the anchors in pixels of the window, grid by grid, row by row."""
    centres = []
    for stride, each in GRIDS:
        columns, rows = (length // stride for length in window)
        row, column = np.divmod(np.arange(rows * columns), columns)
        centres.append(np.repeat((np.stack((column, row), -1) + 0.5) * stride, each, 0))
    return np.concatenate(centres)


def decode(outputs: Outputs, window: tuple[int, int]) -> tuple[Floats, Floats]:
    """Boxes and scores, see FaceNetwork.

    An anchor predicts its box's centre as an offset from its own, and the box's size, in pixels.
    """
    boxes = outputs["regressors"][0, :, :4].astype(np.float64)
    boxes[:, :2] += anchors(window)
    logits = outputs["classificators"][0, :, 0].astype(np.float64)
    return boxes, 1 / (1 + np.exp(-np.clip(logits, -100, 100)))


BLAZEFACE = FaceNetwork(
    "blazeface",
    ".tflite",
    inputs=(FileTensor("input", (1, 128, 128, 3)),),
    # Of each anchor a box and six points, unused here, and the logit of its score.
    outputs=(FileTensor("regressors", (1, 896, 16)), FileTensor("classificators", (1, 896, 1))),
    planes=False,
    prepare=prepare,
    decode=decode,
    merge=mean_of_each,
    same_face=0.3,  # MediaPipe's graph
    # Medians over 1,107 training faces of WIDER FACE with 98 points; standard deviations 0.14,
    # 0.05 and 0.05.
    placement=Placement(1.40, 0.0, 0.05),
    threshold=0.3,
)
