"""A set of faces: images, boxes, points and what is known of each, not where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import DatasetError

Image = NDArray[np.uint8]

#: WFLW's attributes, in the order of its list files and of the paper's table 1.
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")


@dataclass(frozen=True)
class FaceSet:
    """N labelled faces with P points each (98, 68, or 0 where only boxes are known).

    Boxes and points are in pixels of their image, edge based: the left border is 0, the right one
    its width. `images` may decode on access; an image that can't be read raises DatasetError then.
    """

    images: Sequence[Image]  # N times (H, W, 3), RGB
    boxes: NDArray[np.float32]  # (N, 4) left, top, right, bottom: what the crop is made round
    points: NDArray[np.float32]  # (N, P, 2), finite also where a point is not known
    weights: NDArray[np.float32]  # (N, P), 0 where a point is not known
    pose: NDArray[np.float32]  # (N, 3) radian, (yaw, pitch, roll), NaN where not known
    names: tuple[str, ...]  # (N) file and line or row, for messages
    attributes: NDArray[np.bool_] | None = None  # (N, 6), as in ATTRIBUTES

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: NDArray[np.bool_]) -> FaceSet:
        """The faces that `mask` (N,) keeps; images stay undecoded."""
        kept = np.flatnonzero(mask)
        return FaceSet(
            Picked(self.images, kept),
            self.boxes[kept],
            self.points[kept],
            self.weights[kept],
            self.pose[kept],
            tuple(self.names[int(i)] for i in kept),
            None if self.attributes is None else self.attributes[kept],
        )


class Picked(Sequence[Image]):
    """Some of another sequence's images, in the order of `indices`; decodes nothing itself."""

    def __init__(self, images: Sequence[Image], indices: NDArray[np.int64]) -> None:
        self._images = images
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        return self._images[int(self._indices[index])]


class Joined(Sequence[Image]):
    """Several sequences of images one after the other; decodes nothing itself."""

    def __init__(self, parts: Sequence[Sequence[Image]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part][int(index - (self._ends[part - 1] if part else 0))]


def boxes_of(points: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, P, 2) points and (N, P) weights to the (N, 4) tight boxes of the points that count."""
    known = (weights > 0)[..., None]
    low = np.where(known, points, np.inf).min(1)
    high = np.where(known, points, -np.inf).max(1)
    return np.concatenate((low, high), 1).astype(np.float32)


def unknown_pose(count: int) -> NDArray[np.float32]:
    """(count, 3) NaN."""
    return np.full((count, 3), np.nan, np.float32)


def concatenate(sets: Iterable[FaceSet]) -> FaceSet:
    """Several sets as one, in order; DatasetError where their point counts differ."""
    parts = list(sets)
    counts = sorted({part.points.shape[1] for part in parts})
    if len(counts) != 1:
        raise DatasetError(f"face sets of {counts} points can't be joined; choose one kind")
    labelled = [part.attributes for part in parts if part.attributes is not None]
    return FaceSet(
        Joined([part.images for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.pose for part in parts]),
        tuple(name for part in parts for name in part.names),
        np.concatenate(labelled) if len(labelled) == len(parts) else None,
    )
