"""WFLW: 98 points, a rectangle and six attributes a face, one line each in a list file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import ATTRIBUTES, FaceSet
from atpn_deploy.datasets.images import LARGEST_SIDE
from atpn_deploy.datasets.labels import Label, face_set, numbers, read_lines, require_folder
from atpn_deploy.errors import DatasetError

LISTS = Path("WFLW_annotations", "list_98pt_rect_attr_train_test")
IMAGES = "WFLW_images"
SPLITS = ("train", "test")

#: 98 points, the rectangle's corners and the attributes; the image's name follows.
NUMBERS = 98 * 2 + 4 + len(ATTRIBUTES)


def wflw(root: Path, split: str, *, largest: int | None = LARGEST_SIDE) -> FaceSet:
    """The 7,500 faces of `train` or the 2,500 of `test` under `root`, as WFLW comes.

    The crop is made round the points, as the paper does it, and not round the list's rectangle,
    which reaches up to the hair. Coordinates are sub-pixel numbers whose origin WFLW does not
    state; they are taken as edge based, as in the development faces that were cut from it.
    Raises DatasetError with file and line.
    """
    if split not in SPLITS:
        raise DatasetError(f"WFLW has no split {split!r}; choose one of {', '.join(SPLITS)}")
    path = require_folder(root / LISTS, "WFLW_annotations as WFLW unpacks it") / (
        f"list_98pt_rect_attr_{split}.txt"
    )
    labels = [
        _label(line, root / IMAGES, f"{path}:{number}")
        for number, line in enumerate(read_lines(path), 1)
        if line.strip()
    ]
    if not labels:
        raise DatasetError(f"{path} is empty; expected a face a line")
    return face_set(labels, largest=largest)


def _label(line: str, images: Path, where: str) -> Label:
    """One line: 196 coordinates, 4 of the rectangle, 6 attributes, the image's name."""
    fields = line.split(maxsplit=NUMBERS)
    if len(fields) != NUMBERS + 1:
        raise DatasetError(
            f"{where}: {len(fields)} fields came, {NUMBERS + 1} were expected: 98 points, a "
            "rectangle, 6 attributes and the image's name"
        )
    values = numbers(fields[:-1], NUMBERS, where)
    attributes = values[-len(ATTRIBUTES) :]
    if not np.isin(attributes, (0, 1)).all():
        raise DatasetError(f"{where}: attributes {attributes.tolist()} came, 0 or 1 were expected")
    points = values[:196].reshape(98, 2).astype(np.float32)
    return Label(images / fields[-1].strip(), where, points, attributes=attributes > 0)
