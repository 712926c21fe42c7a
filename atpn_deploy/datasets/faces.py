"""A set of faces: images, points and what is known of each, not where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceSet:
    """N labelled faces.

    Points are in pixels of their image, edge based: the left border is 0, the right one its width.
    """

    images: Sequence[Image]  # N times (H, W, 3), RGB
    points: NDArray[np.float32]  # (N, 98, 2)
    weights: NDArray[np.float32]  # (N, 98), 0 where a point is not known
    pose: NDArray[np.float32]  # (N, 3) radian, (yaw, pitch, roll), NaN where not known

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: NDArray[np.bool_]) -> FaceSet:
        """The faces that `mask` (N,) keeps."""
        kept = np.flatnonzero(mask)
        images = [self.images[int(i)] for i in kept]
        return FaceSet(images, self.points[kept], self.weights[kept], self.pose[kept])


def concatenate(sets: Iterable[FaceSet]) -> FaceSet:
    """Several sets as one, in order."""
    parts = list(sets)
    return FaceSet(
        [image for part in parts for image in part.images],
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.pose for part in parts]),
    )
