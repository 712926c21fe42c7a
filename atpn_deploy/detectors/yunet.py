"""YuNet, the detector of libfacedetection: a box for each cell of three grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.detectors.detector import Placement
from atpn_deploy.detectors.face_network import FaceNetwork, Floats, Outputs
from atpn_deploy.detectors.network_file import FileTensor
from atpn_deploy.detectors.suppression import best_of_each

#: Sides of the grids' cells, in pixels of the window.
STRIDES = (8, 16, 32)


def prepare(window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Planes of B, G and R, 0..255."""
    return np.ascontiguousarray(window[..., ::-1].transpose(2, 0, 1), np.float32)


def decode(outputs: Outputs, window: tuple[int, int]) -> tuple[Floats, Floats]:
    """Boxes and scores, see FaceNetwork.

    A cell predicts its box's centre as an offset from its own corner in cells, and the logarithm
    of the box's size in cells.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        offset = outputs[f"bbox_{stride}"][0].astype(np.float64)  # (cells, 4)
        rows, columns = np.divmod(np.arange(len(offset)), window[0] // stride)
        centre = (np.stack((columns, rows), -1) + offset[:, :2]) * stride
        boxes.append(np.hstack((centre, np.exp(offset[:, 2:]) * stride)))
        face, thing = (np.clip(outputs[f"{k}_{stride}"][0, :, 0], 0, 1) for k in ("cls", "obj"))
        scores.append(np.sqrt(face.astype(np.float64) * thing))
    return np.concatenate(boxes), np.concatenate(scores)


YUNET = FaceNetwork(
    "yunet",
    ".onnx",
    inputs=(FileTensor("input", (1, 3, 0, 0)),),
    # By grid: probabilities of a face and of a thing, a box, and five points, unused here.
    outputs=tuple(
        FileTensor(f"{kind}_{stride}", (1, 0, length))
        for kind, length in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        for stride in STRIDES
    ),
    planes=True,
    prepare=prepare,
    decode=decode,
    merge=best_of_each,
    same_face=0.3,  # OpenCV's default
    # Medians over 1,107 training faces of WIDER FACE with 98 points; standard deviations 0.08,
    # 0.04 and 0.04.
    placement=Placement(1.36, 0.0, 0.14),
    threshold=0.3,
)
