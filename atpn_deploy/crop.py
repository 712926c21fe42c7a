"""The crop contract: which square of a photograph the network sees, and how it is resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE

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
    low, high = np.min(points, 0), np.max(points, 0)
    side = float((high - low).max()) * (1 + 2 * margin)
    centre = (low + high) / 2
    return Box(float(centre[0]) - side / 2, float(centre[1]) - side / 2, side)


def cut(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Resample `box` of an (H, W, 3) RGB image to (112, 112, 3).

    Every output pixel is the mean of n x n bilinear samples on a regular grid inside it, where
    n = ceil(side / 112), so that a large face is averaged and not decimated. Outside the image the
    nearest border pixel counts. The result is rounded half to even.
    """
    height, width, channels = image.shape
    rows = _bands(box.top, box.side, height)
    columns = _bands(box.left, box.side, width)
    left, right = columns[0].source.start, columns[-1].source.stop
    # Bilinear samples on a grid are separable: down the columns first, then along the rows.
    tall = np.concatenate(
        [
            band.weights
            @ image[band.source, left:right]
            .astype(np.float32)
            .reshape(-1, (right - left) * channels)
            for band in rows
        ]
    )  # (112, w * 3)
    across = np.ascontiguousarray(tall.reshape(CROP_SIDE, -1, channels).swapaxes(0, 1))
    flat = across.reshape(right - left, CROP_SIDE * channels)
    wide = np.concatenate(
        [
            band.weights @ flat[band.source.start - left : band.source.stop - left]
            for band in columns
        ]
    )  # (112, 112 * 3), the column before the row
    resampled = wide.reshape(CROP_SIDE, CROP_SIDE, channels).swapaxes(0, 1)
    return np.ascontiguousarray(np.rint(resampled), np.uint8)


@dataclass(frozen=True)
class _Band:
    """Some neighbouring output pixels along one axis, and what they are made of."""

    source: slice  # the source pixels
    weights: NDArray[np.float32]  # (BAND, source pixels); each row sums to one


#: Output pixels that are computed together. One product over all 112 would mostly multiply zeros
#: (a pixel depends on 1/112 of the box); one for each would be 112 small ones.
BAND = 16


def _bands(start: float, side: float, length: int) -> list[_Band]:
    """The weights along one axis of an image of `length` pixels, in bands from its start on."""
    n = max(1, math.ceil(side / CROP_SIDE))
    samples = CROP_SIDE * n
    position = start + (np.arange(samples) + 0.5) * (side / samples) - 0.5
    below = np.floor(position)
    above = (position - below) / n  # the share of the pixel after, in the mean over n
    first = np.clip(below, 0, length - 1).astype(np.intp)
    second = np.clip(below + 1, 0, length - 1).astype(np.intp)
    bands = []
    for k in range(0, samples, BAND * n):
        of_band = slice(k, k + BAND * n)
        origin, end = int(first[k]), int(second[of_band][-1]) + 1
        cell = np.repeat(np.arange(BAND) * (end - origin) - origin, n)
        weights = np.bincount(
            np.concatenate((cell + first[of_band], cell + second[of_band])),
            np.concatenate((1 / n - above[of_band], above[of_band])),
            minlength=BAND * (end - origin),
        )
        bands.append(
            _Band(slice(origin, end), weights.reshape(BAND, end - origin).astype(np.float32))
        )
    return bands
