"""WIDER FACE: photographs of crowds, and list files with a box round every face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.images import LARGEST_SIDE, ImageFiles
from atpn_deploy.datasets.labels import numbers, read_lines
from atpn_deploy.datasets.scenes import SMALLEST_FACE, Scenes, faces_in
from atpn_deploy.errors import DatasetError

SPLITS = ("train", "val")

#: A line of a face: x, y, width, height, blur, expression, illumination, invalid, occlusion, pose.
FIELDS = 10
INVALID = 7


@dataclass(frozen=True)
class _Photograph:
    """One entry of a list file."""

    name: str  # folder of the event, and file
    line: int  # where its name stands, from 1
    values: NDArray[np.float64]  # (K, 10), a row a line of the list
    first: int  # line of the first face


def wider(
    root: Path,
    split: str,
    *,
    smallest: float = SMALLEST_FACE,
    largest: int | None = LARGEST_SIDE,
) -> FaceSet:
    """The valid faces of `train` or `val` that are at least `smallest` pixels either way.

    They have boxes and no points (P = 0): a WIDER box, forehead to chin, is shortened to what the
    landmarks' box would be, see `scenes.LANDMARK_TOP`. Raises DatasetError with file and line.
    """
    return faces_in(wider_scenes(root, split), smallest=smallest, largest=largest)


def wider_scenes(root: Path, split: str) -> Scenes:
    """All photographs of `train` or `val` with all their boxes; DatasetError with file and line.

    The lists themselves hold boxes without area: where a photograph has no face its count is 0 and
    a line of zeros follows. Those are no faces. Boxes flagged invalid stay, as not usable: there is
    a face, which no background may show.
    """
    if split not in SPLITS:
        raise DatasetError(f"WIDER FACE has no split {split!r}; choose one of {', '.join(SPLITS)}")
    path = root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
    photographs = _photographs(path)
    if not photographs:
        raise DatasetError(f"{path} is empty; expected names, counts and boxes")
    seen: dict[str, int] = {}
    files, boxes, usable, places = [], [], [], []
    for photograph in photographs:
        name = photograph.name
        if name in seen:
            raise DatasetError(
                f"{path}:{seen[name]} and {path}:{photograph.line} both list {name}; take one out"
            )
        seen[name] = photograph.line
        file = root / f"WIDER_{split}" / "images" / name
        if not file.is_file():
            raise DatasetError(f"{path}:{photograph.line}: {file} does not exist; unpack it there")
        kept = np.flatnonzero((photograph.values[:, 2:4] > 0).all(1))
        values = photograph.values[kept]
        files.append(file)
        boxes.append(np.hstack((values[:, :2], values[:, :2] + values[:, 2:4])).astype(np.float32))
        usable.append(values[:, INVALID] == 0)
        places.append(tuple(f"{path}:{photograph.first + row} ({name})" for row in kept))
    return Scenes(ImageFiles(files), tuple(boxes), tuple(usable), tuple(places))


def _photographs(path: Path) -> list[_Photograph]:
    """Read a list file: a name, the number of faces, a line each; DatasetError with the line."""
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    found, at = [], 0
    while at < len(lines):
        name = lines[at].strip()
        if "/" not in name:
            raise DatasetError(
                f"{path}:{at + 1}: {name!r} came, an image's name (event/file.jpg) was expected; "
                "is the count of faces before it right?"
            )
        count = _count(lines, at + 1, path)
        # Without a face the count is 0, and yet one line of ten zeros follows.
        rows = lines[at + 2 : at + 2 + max(count, 1)]
        if len(rows) < max(count, 1) or any("/" in row for row in rows):
            raise DatasetError(
                f"{path}:{at + 2}: {count} faces were announced for {name}, fewer lines came"
            )
        values = [numbers(r.split(), FIELDS, f"{path}:{at + 3 + k}") for k, r in enumerate(rows)]
        found.append(_Photograph(name, at + 1, np.array(values)[:count], at + 3))
        at += 2 + len(rows)
    return found


def _count(lines: list[str], at: int, path: Path) -> int:
    """The number of faces on line `at` (from 0)."""
    text = lines[at].strip() if at < len(lines) else ""
    if not text.isdigit():
        raise DatasetError(f"{path}:{at + 1}: {text!r} came, a number of faces was expected")
    return int(text)
