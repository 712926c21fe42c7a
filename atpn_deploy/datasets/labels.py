"""Labels as their files give them, checked, and made into a face set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet, Picked, boxes_of, unknown_pose
from atpn_deploy.datasets.images import LARGEST_SIDE, Cached, ImageFiles, Regions
from atpn_deploy.errors import DatasetError


@dataclass(frozen=True)
class Label:
    """One face: where it was read and what was written there."""

    image: Path
    where: str  # file, and line or row where it has such, for messages
    points: NDArray[np.float32]  # (P, 2) pixels of the photograph, edge based, NaN where not known
    pose: tuple[float, float, float] | None = None  # radian, (yaw, pitch, roll)
    attributes: NDArray[np.bool_] | None = None  # (6,), as in faces.ATTRIBUTES


def face_set(labels: Sequence[Label], *, largest: int | None = LARGEST_SIDE) -> FaceSet:
    """Check `labels` and make a face set of them: images are regions of the photographs.

    A region's side is at most `largest` pixels; None leaves the photographs' resolution. A point
    that is NaN gets weight 0. Raises DatasetError, with file and line, for: no labels at all, an
    image that does not exist, a face without any point, a box without area, and one face twice.
    A damaged image, or a face more than half outside its own, raises when that image is asked for.
    """
    if not labels:
        raise DatasetError("no faces are left to read; check the split and the folder")
    points = np.stack([label.points for label in labels]).astype(np.float32)
    weights = known_points(points).astype(np.float32)
    for index in np.flatnonzero(weights.sum(1) == 0):
        raise DatasetError(f"{labels[int(index)].where}: not one of its points is a number")
    boxes = boxes_of(points, weights)
    check_boxes(labels, boxes)
    names = tuple(f"{label.where} ({label.image.name})" for label in labels)
    regions = Regions(photographs([label.image for label in labels], names), boxes, names, largest)
    corners = regions.to_region(boxes.reshape(-1, 2, 2))
    centres = corners.mean(1, keepdims=True)
    attributes = [label.attributes for label in labels if label.attributes is not None]
    return FaceSet(
        images=Cached(regions),
        boxes=corners.reshape(-1, 4),
        # What is not known is put where it can't widen the box.
        points=np.where(weights[..., None] > 0, regions.to_region(points), centres),
        weights=weights,
        pose=poses([label.pose for label in labels]),
        names=names,
        attributes=np.stack(attributes) if len(attributes) == len(labels) else None,
    )


def photographs(paths: Sequence[Path], names: Sequence[str]) -> Picked:
    """Image files, of which many may be the same one; DatasetError where one does not exist."""
    places: dict[Path, int] = {}
    for path, name in zip(paths, names, strict=True):
        if path not in places:
            if not path.is_file():
                raise DatasetError(f"{name}: {path} does not exist; unpack the images beside it")
            places[path] = len(places)
    return Picked(ImageFiles(tuple(places)), np.array([places[path] for path in paths], np.int64))


def poses(given: Sequence[tuple[float, float, float] | None]) -> NDArray[np.float32]:
    """(N, 3) radian, NaN for None."""
    known = unknown_pose(len(given))
    for index, pose in enumerate(given):
        if pose is not None:
            known[index] = pose
    return known


def known_points(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, P, 2) to (N, P): where both coordinates are numbers."""
    return np.asarray(np.isfinite(points).all(-1))


def check_boxes(labels: Sequence[Label], boxes: NDArray[np.float32]) -> None:
    """DatasetError where a box of (N, 4) has no area, or the same image and box come twice."""
    seen: dict[tuple[Path, bytes], str] = {}
    for label, box in zip(labels, boxes, strict=True):
        width, height = (box[2:] - box[:2]).tolist()
        if not (width > 0 and height > 0):
            raise DatasetError(
                f"{label.where}: its face is {width:g} x {height:g} pixels; take it out"
            )
        key = (label.image, box.tobytes())
        if key in seen:
            raise DatasetError(
                f"{seen[key]} and {label.where} are the same face of {label.image}; "
                "take one of them out"
            )
        seen[key] = label.where


def read_lines(path: Path) -> list[str]:
    """The lines of a text file of labels; DatasetError where it is missing or no text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not a text file: {error}") from error


def numbers(fields: Sequence[str], count: int, where: str) -> NDArray[np.float64]:
    """`count` numbers; DatasetError where there are more or fewer, or one is none."""
    if len(fields) != count:
        raise DatasetError(f"{where}: {len(fields)} numbers came, {count} were expected")
    try:
        return np.array([float(field) for field in fields])
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error


def require_folder(path: Path, what: str) -> Path:
    """`path` if it is a folder; else DatasetError that says what was looked for."""
    if not path.is_dir():
        raise DatasetError(f"{path} is not a folder; expected {what}")
    return path
