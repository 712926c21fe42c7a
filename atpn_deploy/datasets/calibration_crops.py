"""Varied real faces to calibrate on: contract crops of training faces and of backgrounds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.datasets import packs
from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError


def write_calibration_crops(
    data: Path, folder: Path, *, faces: int = 512, backgrounds: int = 64, seed: int = 7
) -> None:
    """Write PNG crops, 112x112: training faces as a tracker frames them, and some backgrounds.

    A tracker's box is never exact, so each face's box is shifted by up to 5 % and scaled by 0.9 to
    1.15. Backgrounds are there because a phone shows the network those too.
    """
    rng = np.random.default_rng(seed)
    known = packs.train98_faces(data)
    negatives = packs.train98_negatives(data)
    folder.mkdir(parents=True, exist_ok=True)
    for number, index in enumerate(rng.choice(len(known), faces, replace=False)):
        box = box_around(known.points[index])
        side = box.side * rng.uniform(0.9, 1.15)
        shift = (box.side - side) / 2 + rng.uniform(-0.05, 0.05, 2) * box.side
        loose = Box(box.left + shift[0], box.top + shift[1], side)
        _write(folder / f"face{number:04}.png", cut(known.images[index], loose))
    for number, index in enumerate(rng.choice(len(negatives), backgrounds, replace=False)):
        _write(folder / f"background{number:04}.png", negatives[index])


def _write(path: Path, crop: Image) -> None:
    if not cv2.imwrite(str(path), crop[..., ::-1]):
        raise DatasetError(f"cannot write {path}")
