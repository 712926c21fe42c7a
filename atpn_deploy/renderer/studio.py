"""The face model with all that every picture of it shares, prepared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.appearance import Regions, make_regions
from atpn_deploy.renderer.face_model import FaceModel, load_face_model
from atpn_deploy.renderer.face_points import PUPILS, PointPaths, make_paths
from atpn_deploy.renderer.lighting import open_sky

#: Stands for "no part of the iris", cm.
FAR = 9.0


@dataclass(frozen=True)
class FaceStudio:
    """A model, the paths of its points, where its colours go, and which of its folds are dark."""

    model: FaceModel
    paths: PointPaths
    regions: Regions
    sky: NDArray[np.float32]  # (V,) as of `open_sky`
    iris: NDArray[np.float32]  # (V,) cm from the middle of the iris; FAR off the eyes


def open_studio(model_file: Path) -> FaceStudio:
    """Read the model (DatasetError as of `load_face_model`) and prepare it; takes seconds."""
    model = load_face_model(model_file)
    paths = make_paths(model)
    sky = open_sky(model.neutral, model.triangles_of("face", "head"))
    return FaceStudio(model, paths, make_regions(paths.own(model.neutral)), sky, _iris(model))


def _iris(model: FaceModel) -> NDArray[np.float32]:
    """(V,) distance from the middle of the iris, seen from the front, on the front of the eyes."""
    iris = np.full(len(model.neutral), FAR, np.float32)
    for pupil, _, _ in PUPILS:
        middle = model.neutral[model.landmarks[pupil]]
        side = np.sign(model.neutral[:, 0]) == np.sign(middle[0])
        front = (model.part == "eye") & side & (model.neutral[:, 2] > middle[2] - 1.2)
        iris[front] = np.linalg.norm(model.neutral[front, :2] - middle[:2], axis=1)
    return iris
