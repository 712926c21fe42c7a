"""300W-LP and AFLW2000-3D: photographs with a .mat file of 68 points and the head's pose each."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.images import LARGEST_SIDE
from atpn_deploy.datasets.labels import Label, face_set, require_folder
from atpn_deploy.datasets.pts import MATLAB_TO_EDGE
from atpn_deploy.errors import DatasetError, MissingToolError

SOURCES = ("AFW", "HELEN", "IBUG", "LFPW")

#: The parts that photographs belong to, by split.
SPLITS = {
    "train": ("train",),
    "common": ("common",),
    "challenging": ("challenging",),
    "full": ("common", "challenging"),
}

#: What evaluations on AFLW2000-3D leave out: heads that are turned further than this.
LARGEST_ANGLE_DEG = 99.0

#: What scipy raises for a file that is damaged or no .mat, beside its own MatReadError.
DAMAGED = (OSError, ValueError, TypeError, NotImplementedError, EOFError, KeyError, zlib.error)


def w300lp(
    root: Path,
    split: str,
    *,
    helen_test: Collection[str] = (),
    synthetic: bool = False,
    largest: int | None = LARGEST_SIDE,
) -> FaceSet:
    """A split of 300W-LP with 68 points and pose; DatasetError names the file that is wrong.

    The paper takes 300W's own photographs, without the turned copies that were made of them: of
    each photograph the file whose name ends in `_0`, outside the `_Flip` folders. `synthetic` takes
    all. Its splits are 300W's: 3,148 to train, of the 689 others IBUG's 135 as the challenging
    subset and the test parts of HELEN and LFPW as the common one. LFPW's names say which is which,
    HELEN's don't: give the names of its test photographs, as `helen_test_names` reads them from
    300W; without them all of HELEN is training, and the common subset is LFPW's 224 alone.
    """
    if split not in SPLITS:
        raise DatasetError(f"300W-LP has no split {split!r}; choose one of {', '.join(SPLITS)}")
    folders = [*SOURCES, *(f"{source}_Flip" for source in SOURCES if synthetic)]
    labels = []
    for folder in folders:
        require_folder(root / folder, f"the folders {', '.join(SOURCES)} of 300W-LP")
        for path in sorted((root / folder).glob("*.mat")):
            photograph, _, copy = path.stem.rpartition("_")
            taken = _part(photograph, helen_test) in SPLITS[split]
            if taken and (synthetic or copy == "0"):
                labels.append(_label(path, "pt2d"))
    if not labels:
        raise DatasetError(f"{root} holds no .mat files of the split {split!r} of 300W-LP")
    return face_set(labels, largest=largest)


def _part(photograph: str, helen_test: Collection[str]) -> str:
    """`train`, `common` or `challenging` for a photograph as 300W-LP names it."""
    if photograph.startswith("IBUG"):
        return "challenging"
    in_lfpw = photograph.startswith("LFPW_image_test")
    return "common" if in_lfpw or photograph.removeprefix("HELEN_") in helen_test else "train"


def helen_test_names(w300: Path) -> frozenset[str]:
    """HELEN's test photographs, named as in the folder of 300W."""
    folder = require_folder(w300 / "helen" / "testset", "300W's test photographs of HELEN")
    return frozenset(path.stem for path in folder.glob("*.pts"))


def aflw2000(root: Path, *, largest: int | None = None) -> FaceSet:
    """AFLW2000-3D with |angle| <= 99 degrees: 1,969 faces, 68 points of the 3D fit, and pose.

    For evaluation only. DatasetError names the file that is wrong.
    """
    require_folder(root, "the folder of AFLW2000-3D, with images and .mat files")
    labels = [_label(path, "pt3d_68") for path in sorted(root.glob("*.mat"))]
    if not labels:
        raise DatasetError(f"{root} holds no .mat files; expected those of AFLW2000-3D")
    limit = np.radians(LARGEST_ANGLE_DEG)
    kept = [label for label in labels if label.pose and max(map(abs, label.pose)) <= limit]
    return face_set(kept, largest=largest)


def _label(path: Path, key: str) -> Label:
    """One .mat: points under `key`, (2 or 3, 68) counted from 1, and Pose_Para."""
    values = _read_mat(path, ("Pose_Para", key))
    points, pose = values[key], values["Pose_Para"].ravel()
    if points.ndim != 2 or points.shape[0] not in (2, 3) or points.shape[1] != 68:
        raise DatasetError(f"{path}: {key} is {points.shape}, (2, 68) or (3, 68) was expected")
    if len(pose) < 3 or not np.isfinite(pose[:3]).all():
        raise DatasetError(f"{path}: Pose_Para is {pose.tolist()}, pitch, yaw and roll expected")
    pitch, yaw, roll = pose[:3].tolist()
    placed = points[:2].T.astype(np.float32) + np.float32(MATLAB_TO_EDGE)
    return Label(path.with_suffix(".jpg"), str(path), placed, pose=(yaw, pitch, roll))


def _read_mat(path: Path, keys: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Some variables of a .mat; DatasetError where it is damaged or has them not."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingToolError(
            "reading .mat files needs scipy: pip install -c constraints.txt 'atpn-deploy[train]'"
        ) from error
    try:
        values = loadmat(str(path), variable_names=keys)
    except (*DAMAGED, MatReadError) as error:
        raise DatasetError(f"{path} is damaged or no .mat file: {error}") from error
    if absent := [key for key in keys if key not in values]:
        raise DatasetError(f"{path} has no {' and no '.join(absent)}; expected those of 300W-LP")
    return {key: np.asarray(values[key], np.float64) for key in keys}
