"""How good a network is on the development faces: NME, pose error, average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import box_around, cut
from atpn_deploy.datasets import packs
from atpn_deploy.errors import DatasetError
from atpn_deploy.metrics import (
    area_under_ced,
    average_precision,
    failure_rate,
    normalised_mean_error,
    pose_error_deg,
)

#: (N, 112, 112, 3) uint8 to landmarks (N, 98, 2), pose (N, 3) and confidence (N, 1).
Predict = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]


def crops_of(
    images: Sequence[NDArray[np.uint8]], points: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Contract crops (N, 112, 112, 3) round the points, and the points as fractions of them."""
    boxes = [box_around(p) for p in points]
    crops = np.stack([cut(image, box) for image, box in zip(images, boxes, strict=True)])
    inside = np.stack([box.from_image(p) for box, p in zip(boxes, points, strict=True)])
    return crops, inside.astype(np.float32)


def evaluate(predict: Predict, data: Path, negatives: int = 1000) -> dict[str, float]:
    """Measure on wflw_dev and aflw2000_dev, plus training negatives for the precision.

    Returns percent (nme, fr), fractions (auc, ap) and degrees (yaw, pitch, roll, mae).
    """
    faces = packs.wflw_dev(data)
    crops, points = crops_of(faces.images, faces.points)
    outputs = predict(crops)
    errors = normalised_mean_error(outputs["landmarks"], points)
    background = np.stack(packs.train98_negatives(data)[:negatives])
    if background.shape[1:] != (CROP_SIDE, CROP_SIDE, 3):
        raise DatasetError(f"negatives are {background.shape[1:]}; expected 112x112 RGB")
    scores = np.concatenate((outputs["confidence"], predict(background)["confidence"]))[:, 0]
    images, points68, pose = packs.aflw2000_dev(data)
    yaw, pitch, roll = pose_error_deg(predict(crops_of(images, points68)[0])["pose"], pose)
    return {
        "nme_percent": 100 * float(errors.mean()),
        "fr_percent": 100 * failure_rate(errors),
        "auc": area_under_ced(errors),
        "ap": average_precision(scores, np.arange(len(scores)) < len(crops)),
        "yaw_deg": float(yaw),
        "pitch_deg": float(pitch),
        "roll_deg": float(roll),
        "mae_deg": float((yaw + pitch + roll) / 3),
    }
