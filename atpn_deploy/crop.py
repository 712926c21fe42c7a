"""The crop contract: which square of a photograph the network sees, and how it is resampled."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop_bands import bands_of

#: The box of the points is extended by this share of its longer side on every side (section 3).
MARGIN = 0.25


@dataclass(frozen=True)
class Box:
    """A square of an image: top left corner and side, in pixels, edge based.

    Edge based: the left border of the image is 0, the right one its width, and the centre of
    pixel (column, row) lies at (column + 0.5, row + 0.5). The square may reach outside the image.
    """

    left: float
    top: float
    side: float

    def to_image(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Fractions of the crop (..., 2) to pixels of the image."""
        return np.asarray(points, np.float64) * self.side + (self.left, self.top)

    def from_image(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels of the image (..., 2) to fractions of the crop."""
        return (np.asarray(points, np.float64) - (self.left, self.top)) / self.side


def box_around(points: NDArray[np.floating], margin: float = MARGIN) -> Box:
    """The square that the network is to see for landmarks (N, 2) in pixels of the image.

    The axis-parallel bounding box of the points, its longer side extended by 25 % at both ends,
    square, centred on the box. Another `margin` is for networks of others.
    """
    spread = np.ascontiguousarray(np.asarray(points).T)  # one row an axis is searched sooner
    (left, top), (right, bottom) = spread.min(1).tolist(), spread.max(1).tolist()
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    return Box((left + right) / 2 - side / 2, (top + bottom) / 2 - side / 2, side)


def cut(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Resample `box` of an (H, W, 3) RGB image to (112, 112, 3).

    Every output pixel is the mean of n x n bilinear samples on a regular grid inside it, where
    n = ceil(side / 112), so that a large face is averaged and not decimated. Outside the image the
    nearest border pixel counts. The result is rounded half to even.

    Raises ValueError for a box that is no square of any image.
    """
    if not (box.side >= 0 and math.isfinite(box.left + box.top + box.side)):
        raise ValueError(f"{box} can't be cut; expected finite numbers and a side of 0 or more")
    height, width, channels = image.shape
    rows, columns = bands_of((box.top, box.left), box.side, (height, width), channels)
    region = image[rows.source, columns.source]
    w = region.shape[1]
    region = region.reshape(-1, w * channels)
    # Bilinear samples on a grid are separable: down the columns first, then along the rows. Each
    # product writes the axis that it makes where the next step reads it, so that only the bytes of
    # the result are transposed.
    memory = _scratch.take((w * channels + CROP_SIDE * channels) * CROP_SIDE)
    tall = memory[: w * channels * CROP_SIDE].reshape(-1, CROP_SIDE)  # (w * channels, 112)
    for source, made, weights in rows.products:
        strip = region[source].astype(np.float32)
        np.matmul(strip.T, weights[:, : len(strip)].T, out=tall[:, made])
    across = tall.reshape(w, -1)  # (w, channels * 112)
    wide = memory[tall.size :][: CROP_SIDE * channels * CROP_SIDE].reshape(CROP_SIDE, -1)
    for source, made, weights in columns.products:
        strip = across[source]
        np.matmul(weights[:, : len(strip)], strip, out=wide[made])
    rounded = np.rint(wide, out=wide).astype(np.uint8)
    return np.ascontiguousarray(rounded.reshape(CROP_SIDE, channels, -1).transpose(2, 0, 1))


class _Scratch(threading.local):
    """Memory between image and crop, one block a thread, which grows to the largest need.

    A block of this size that is taken anew comes from the system page by page, which takes longer
    than the arithmetic.
    """

    def __init__(self) -> None:
        self._block = np.empty(0, np.float32)

    def take(self, size: int) -> NDArray[np.float32]:
        """At least `size` values, undefined, valid until this thread takes again."""
        if self._block.size < size:
            self._block = np.empty(size, np.float32)
        return self._block


_scratch = _Scratch()
