"""What the 112 pixels along an axis of a crop are made of, in bands for small matrix products."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE

#: Numbers of bands that the 112 pixels can be cut into. One product over all of them would mostly
#: multiply zeros (a pixel depends on 1/112 of the box); one for each would be 112 small ones.
BAND_NUMBERS = (7, 14, 28, 56, 112)
#: A product of fewer multiply-adds is quick for its size: OpenBLAS computes it without copying its
#: operands aside first (from 10**6 on it does), and they stay in the nearest cache.
QUICK_PRODUCT = 700_000


@dataclass(frozen=True)
class Bands:
    """Neighbouring output pixels along one axis, some of them at once."""

    source: slice  # the image's pixels that the crop depends on; it may end after the image
    #: Of each band: its part of `source`, counted from there, the output pixels that it makes, and
    #: their weights (output pixels, source pixels) float32, whose rows sum to one. Pixels after
    #: the image's end have no weight.
    products: list[tuple[slice, slice, NDArray[np.float32]]]


def bands_of(
    corner: tuple[float, float], side: float, shape: tuple[int, int], channels: int
) -> tuple[Bands, Bands]:
    """The bands down and along a square of an image; `corner` is (top, left), `shape` (H, W)."""
    n = max(1, math.ceil(side / CROP_SIDE))
    number = _band_number(side, min(side, shape[1]) * channels)
    pixels = CROP_SIDE // number
    step = side / (CROP_SIDE * n)
    below, shares = _neighbours(_centres(n) * step, corner, shape)
    of_band = below.reshape(2, number, -1)
    first = of_band[:, :, 0]
    reach = int(step * (pixels * n - 1)) + 3
    cells = np.empty((2, *of_band.shape), np.intp)
    np.subtract(_corners(n, number, reach), first[:, :, None], out=cells[1])
    np.add(of_band, cells[1], out=cells[0])
    np.add(cells[0], 1, out=cells[1])
    # What lies after the last cell is the share, zero, of a pixel after the image.
    size = 2 * CROP_SIDE * reach
    sums = np.bincount(cells.ravel(), shares.ravel(), minlength=size)[:size]
    weights = np.multiply(sums, 1 / n, out=np.empty(size, np.float32), casting="same_kind")
    down, along = weights.reshape(2, number, pixels, reach)
    rows, columns = first.tolist()
    return _bands(rows, reach, down), _bands(columns, reach, along)


def _neighbours(
    centres: NDArray[np.float64], corner: tuple[float, float], shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of samples so far from `corner`: the pixel below each, and both neighbours' shares.

    (2, N) and (pixel below or after, 2, N); the first axis of two is (down, along).
    """
    # A pixel's centre lies half a pixel after its edge.
    ends = np.array(((corner[0] - 0.5, shape[0] - 1), (corner[1] - 0.5, shape[1] - 1)))
    position = centres + ends[:, :1]
    # Beyond the outermost centre its pixel goes on: what is clamped is the position itself.
    np.maximum(position, 0, out=position)
    np.minimum(position, ends[:, 1:], out=position)
    below = position.astype(np.intp)
    shares = np.empty((2, *position.shape))
    np.subtract(position, below, out=shares[1])
    np.subtract(1, shares[1], out=shares[0])
    return below, shares


def _bands(first: list[int], reach: int, weights: NDArray[np.float32]) -> Bands:
    """Bands that begin at the pixels `first` and reach over so many."""
    start, pixels = first[0], weights.shape[1]
    products = [
        (slice(k - start, k - start + reach), slice(i * pixels, (i + 1) * pixels), weights[i])
        for i, k in enumerate(first)
    ]
    return Bands(slice(start, first[-1] + reach), products)


def _band_number(side: float, across: float) -> int:
    """The fewest bands with quick products, where a row of the box has `across` values."""
    for number in BAND_NUMBERS:
        if across * (CROP_SIDE // number) * (side / number + 2) <= QUICK_PRODUCT:
            return number
    return BAND_NUMBERS[-1]


# A track changes its side little, so that few of these live at a time.
@lru_cache(maxsize=16)
def _centres(n: int) -> NDArray[np.float64]:
    """(112 n,) where the samples lie, in steps from the box's corner."""
    return np.arange(0.5, CROP_SIDE * n)


@lru_cache(maxsize=16)
def _corners(n: int, number: int, reach: int) -> NDArray[np.intp]:
    """(2, bands, samples of a band): the cell of each one's output pixel and first source pixel.

    Cells are those of all weights, an axis after the other.
    """
    pixel = np.arange(2 * CROP_SIDE).reshape(2, number, -1)
    return pixel.repeat(n, axis=2) * reach
