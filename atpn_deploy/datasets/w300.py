"""300W: photographs with a .pts file of 68 points beside each."""

from __future__ import annotations

from pathlib import Path

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.images import LARGEST_SIDE
from atpn_deploy.datasets.labels import Label, face_set, require_folder
from atpn_deploy.datasets.pts import read_pts
from atpn_deploy.errors import DatasetError

#: The folders of each split: 3,148 faces to train on, 554 + 135 = 689 of the usual test, and the
#: 600 of the competition's own test set.
SPLITS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "common": ("helen/testset", "lfpw/testset"),
    "challenging": ("ibug",),
    "full": ("helen/testset", "lfpw/testset", "ibug"),
    "competition": ("01_Indoor", "02_Outdoor"),
}

SUFFIXES = (".jpg", ".png")


def w300(root: Path, split: str, *, largest: int | None = LARGEST_SIDE) -> FaceSet:
    """The faces of a split of 300W with 68 points; DatasetError names the file that is wrong.

    The crop is made round the points. The points count pixels from 1, as MATLAB does, and are
    moved by half a pixel to the edges.
    """
    if split not in SPLITS:
        raise DatasetError(f"300W has no split {split!r}; choose one of {', '.join(SPLITS)}")
    labels = [
        Label(image_beside(path), str(path), read_pts(path))
        for folder in SPLITS[split]
        for path in pts_files(root / folder)
    ]
    return face_set(labels, largest=largest)


def pts_files(folder: Path) -> list[Path]:
    """The .pts files of a folder, by name; DatasetError where there are none."""
    require_folder(folder, "a folder of 300W, with images and .pts files")
    paths = sorted(folder.glob("*.pts"))
    if not paths:
        raise DatasetError(f"{folder} holds no .pts files; expected those of 300W")
    return paths


def image_beside(path: Path) -> Path:
    """The photograph that belongs to a .pts file; DatasetError where there is none."""
    for suffix in SUFFIXES:
        if path.with_suffix(suffix).is_file():
            return path.with_suffix(suffix)
    raise DatasetError(f"{path} has no image {' or '.join(SUFFIXES)} beside it")
