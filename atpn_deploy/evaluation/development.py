"""How good a network in training is on the development faces, in eight figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE, OUTPUTS
from atpn_deploy.crop import box_around, cut
from atpn_deploy.datasets import packs
from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.alignment import WHOLE, measure_alignment
from atpn_deploy.evaluation.head_pose import measure_pose, turned_away
from atpn_deploy.evaluation.network import Network, Predict
from atpn_deploy.evaluation.views import look
from atpn_deploy.metrics import average_precision

#: Training negatives that the average precision is measured against.
NEGATIVES = 1000


def crops_of(
    images: Sequence[Image], points: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Contract crops (N, 112, 112, 3) round the points, and the points as fractions of them."""
    boxes = [box_around(p) for p in points]
    crops = np.stack([cut(image, box) for image, box in zip(images, boxes, strict=True)])
    inside = np.stack([box.from_image(p) for box, p in zip(boxes, points, strict=True)])
    return crops, inside.astype(np.float32)


def figures(predict: Predict, data: Path) -> dict[str, float]:
    """Measure on the packs wflw_dev and aflw2000_dev, and against training negatives.

    Returns percent (nme_percent, fr_percent), fractions (auc, ap) and degrees (yaw_deg, pitch_deg,
    roll_deg, mae_deg). The backgrounds of `ap` are among the training negatives: it says whether
    the branch has learnt; how it generalises is what `atpn-eval` measures.
    """
    faces = packs.wflw_dev(data)
    network = Network(
        "in training", "torch", "", faces.points.shape[1], tuple(s.name for s in OUTPUTS), predict
    )
    (alignment,) = measure_alignment([network], faces, "wflw_dev")
    landmarks = alignment.subsets[WHOLE]
    turned = packs.aflw2000_dev(data)
    (pose,) = measure_pose([network], turned, turned_away(turned), "aflw2000_dev")
    angles = pose.subsets["full"]
    return {
        "nme_percent": landmarks.nme_percent,
        "fr_percent": landmarks.failure_percent,
        "auc": landmarks.auc,
        "ap": _precision(network, look([network], faces.images, faces.boxes)[0].confidence, data),
        "yaw_deg": angles.yaw_deg,
        "pitch_deg": angles.pitch_deg,
        "roll_deg": angles.roll_deg,
        "mae_deg": angles.mae_deg,
    }


def _precision(network: Network, of_faces: NDArray[np.float64] | None, data: Path) -> float:
    """Average precision of the faces' confidences against the first training negatives."""
    negatives = packs.train98_negatives(data)
    background = np.stack([negatives[i] for i in range(min(NEGATIVES, len(negatives)))])
    if background.shape[1:] != (CROP_SIDE, CROP_SIDE, 3):
        raise DatasetError(f"negatives are {background.shape[1:]}; expected 112x112 RGB")
    if of_faces is None:
        raise DatasetError(f"the network {network.name} computes no confidence")
    of_backgrounds = network.predict(background)["confidence"][:, 0].astype(np.float64)
    scores = np.concatenate((of_faces, of_backgrounds))
    return average_precision(scores, np.arange(len(scores)) < len(of_faces))
