"""The pack of WIDER FACE validation photographs to measure face / no-face on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.images import Cached, ZipImages
from atpn_deploy.datasets.scenes import SMALLEST_FACE, Scenes, faces_in
from atpn_deploy.errors import DatasetError

#: Place of `invalid` among the pack's flags of a box.
INVALID = 3


def detection_wider_scenes(data: Path) -> Scenes:
    """94 photographs of at most 640 pixels with 253 boxes; for evaluation only."""
    path = data / "detection_wider" / "boxes.json"
    try:
        photographs = json.loads(path.read_text())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is no JSON: {error}") from error
    boxes, usable, places = [], [], []
    for name, labels in photographs.items():
        xywh = np.array(labels["boxes_xywh"], np.float32).reshape(-1, 4)
        flags = np.array(labels["attrs_blur_expr_illum_invalid_occl_pose"]).reshape(-1, 6)
        if len(xywh) != len(flags):
            raise DatasetError(f"{path}, {name}: {len(xywh)} boxes, but flags of {len(flags)}")
        boxes.append(np.hstack((xywh[:, :2], xywh[:, :2] + xywh[:, 2:])))
        usable.append((flags[:, INVALID] == 0) & (xywh[:, 2:] > 0).all(1))
        places.append(tuple(f"detection_wider, {name}, face {k}" for k in range(len(xywh))))
    images = Cached(ZipImages(data / "detection_wider" / "images.zip", list(photographs)))
    return Scenes(images, tuple(boxes), tuple(usable), tuple(places))


def detection_wider(data: Path, *, smallest: float = SMALLEST_FACE) -> FaceSet:
    """The faces of at least `smallest` pixels either way (97 from 60 on, 165 from 40), P = 0."""
    return faces_in(detection_wider_scenes(data), smallest=smallest, largest=None)
