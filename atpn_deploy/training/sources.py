"""What each stage trains on: the sets of a folder, poses fitted to points, and rendered faces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets import catalogue
from atpn_deploy.datasets.faces import FaceSet, Image, boxes_of, concatenate, unknown_pose
from atpn_deploy.datasets.markup import as_points
from atpn_deploy.datasets.packs import read_labels
from atpn_deploy.datasets.pose_fit import FIXED_POINTS, fit_pose, pose_model
from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import POINTS_68_OF_98
from atpn_deploy.renderer.render import rendered_faces
from atpn_deploy.training.run_state import write_whole


@dataclass(frozen=True)
class TrainingData:
    """The data of a run: what lies in a folder and, with a 3D face model, what that adds."""

    folder: Path
    names: tuple[str, ...] | None = None  # only these data sets
    landmarks: int = 98
    face_model: Path | None = None
    renders: int = 0  # rendered faces, in stages 1 and 3
    cache: Path | None = None  # folder for fitted poses

    def require(self, stages: Sequence[int]) -> None:
        """DatasetError where the folder lacks the data of a stage.

        Backgrounds are needed by stage 2 alone; the others do without blending them in.
        """
        for stage in stages:
            catalogue.training_sets(self.folder, self._use(stage), self.names)
        if 2 in stages:
            catalogue.training_sets(self.folder, "negatives", self.names)

    def faces(self, stage: int) -> FaceSet:
        """The faces of a stage; with a face model, stage 3 has every face whose points tell."""
        use = self._use(stage)
        if stage == 2 or self.face_model is None:
            return catalogue.training_faces(self.folder, use, self.names, points=self.landmarks)
        if stage == 3:
            parts = self._posed(self.face_model)
        else:
            parts = [catalogue.training_faces(self.folder, use, self.names, points=self.landmarks)]
        if self.renders:  # their pose is exact
            parts.append(as_points(self._rendered(self.face_model), self.landmarks))
        return concatenate(parts)

    def _posed(self, face_model: Path) -> list[FaceSet]:
        """Sets whose angles are AFLW2000-3D's keep them; to the others a model is fitted."""
        sets = list(catalogue.training_sets(self.folder, self._use(3), self.names))
        with suppress(DatasetError):  # there need not be any with angles of its own
            posed = catalogue.training_sets(self.folder, "pose", self.names)
            sets += [dataset for dataset in posed if dataset not in sets]
        parts = []
        for dataset in sets:
            if dataset.faces is not None:
                faces = as_points(dataset.faces(self.folder), self.landmarks)
                own = "pose" in dataset.offers and not dataset.aflw_pose
                parts.append(faces if own else self._fitted(faces, face_model))
        return parts

    def _fitted(self, faces: FaceSet, face_model: Path) -> FaceSet:
        return with_fitted_pose(faces, face_model, self.cache)

    def negatives(self) -> Sequence[Image]:
        """Face-free crops, (112, 112, 3) each; none where no set offers any."""
        try:
            catalogue.training_sets(self.folder, "negatives", self.names)
        except DatasetError:
            return ()
        return catalogue.training_negatives(self.folder, self.names)

    def _use(self, stage: int) -> str:
        """What the catalogue calls the use that a stage makes of data."""
        if stage == 2:
            return "boxes"
        if stage == 3 and self.face_model is None:
            return "pose"
        return f"alignment{self.landmarks}"

    def _rendered(self, face_model: Path) -> FaceSet:
        backgrounds = self.negatives()
        if self.cache is None:
            return self._drawn(face_model, backgrounds)
        # The first face tells one version of the renderer from another.
        first = rendered_faces(face_model, 1, RENDER_SEED, backgrounds)
        content = face_model.read_bytes() + first.images[0].tobytes() + first.points.tobytes()
        name = hashlib.sha256(content).hexdigest()[:16]
        path = self.cache / f"renders-{name}-{self.renders}.npz"
        if not path.is_file():
            _store(self._drawn(face_model, backgrounds), path)
        return _stored(path)

    def _drawn(self, face_model: Path, backgrounds: Sequence[Image]) -> FaceSet:
        processes = os.cpu_count() or 1
        return rendered_faces(face_model, self.renders, RENDER_SEED, backgrounds, processes)


RENDER_SEED = 0


def _store(faces: FaceSet, path: Path) -> None:
    """Keep rendered faces."""
    images = np.stack(list(faces.images))

    def write(aside: Path) -> None:
        with aside.open("wb") as file:
            np.savez(
                file,
                images=images,
                points=faces.points,
                pose=faces.pose,
                names=np.array(faces.names),
            )

    write_whole(path, write)


def _stored(path: Path) -> FaceSet:
    """What `_store` wrote."""
    kept = read_labels(path)
    weights = np.ones(kept["points"].shape[:2], np.float32)
    return FaceSet(
        list(kept["images"]),
        boxes_of(kept["points"], weights),
        kept["points"],
        weights,
        kept["pose"],
        tuple(kept["names"].tolist()),
    )


#: A pose is fitted where at least so many of the 51 points that are fixed on the head are known.
FEWEST_POINTS = 20


def with_fitted_pose(faces: FaceSet, face_model: Path, cache: Path | None = None) -> FaceSet:
    """The faces, 98 or 68 points each, with the pose of a 3D model fitted to these.

    AFLW's own angles come from a few points and another order of turns: on the development faces
    of AFLW2000-3D, labels made that way are off by 7.4 degrees on average, fitted ones by 3.2.
    Where too few points are known, the pose is NaN. Fits are kept in `cache`, by what they were
    made from.
    """
    chosen = list(POINTS_68_OF_98) if faces.points.shape[1] == 98 else slice(None)
    points, weights = faces.points[:, chosen], faces.weights[:, chosen]
    tell = (weights[:, FIXED_POINTS] > 0).sum(1) >= FEWEST_POINTS
    pose = unknown_pose(len(faces))
    pose[tell] = _cached_fit(points[tell], weights[tell], face_model, cache)
    return replace(faces, pose=pose)


def _cached_fit(
    points: NDArray[np.float32],
    weights: NDArray[np.float32],
    face_model: Path,
    cache: Path | None,
) -> NDArray[np.float32]:
    model = pose_model(face_model)
    if cache is None:
        return fit_pose(model, points, weights)[0].astype(np.float32)
    content = (points, weights, model.mean, model.modes)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in content)).hexdigest()
    path = cache / f"pose-{digest[:16]}.npy"
    if path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    pose = fit_pose(model, points, weights)[0].astype(np.float32)
    write_whole(path, lambda aside: _save_array(aside, pose))
    return pose


def _save_array(path: Path, array: NDArray[np.float32]) -> None:
    with path.open("wb") as file:  # a name would be given the suffix .npy
        np.save(file, array)
