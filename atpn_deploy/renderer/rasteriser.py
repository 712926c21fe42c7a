"""Which triangle of a mesh is seen in each pixel: a z-buffer in NumPy, no loop over triangles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Fragments:
    """The P covered pixels of an image, nearest triangle each."""

    pixel: NDArray[np.int64]  # (P,) row * width + column, ascending
    triangle: NDArray[np.int64]  # (P,) row of the triangle list
    weights: NDArray[np.float32]  # (P, 3) of the triangle's corners, they sum to 1
    depth: NDArray[np.float32]  # (P,)

    def interpolate(self, attributes: Floats, triangles: NDArray[np.integer[Any]]) -> Floats:
        """(V, K) values at the vertices to (P, K) values at the pixels."""
        corners = triangles[self.triangle]
        value = attributes[corners[:, 0]] * self.weights[:, :1]
        for corner in (1, 2):
            value += attributes[corners[:, corner]] * self.weights[:, corner, None]
        return np.asarray(value)


def rasterise(
    points: Floats,
    triangles: NDArray[np.integer[Any]],
    size: tuple[int, int],
    *,
    both_sides: bool = False,
) -> Fragments:
    """Draw (V, 3) points x, y, depth as (T, 3) triangles into (height, width) pixels.

    x and y are in pixels, edge based: a pixel is covered where its centre (column + 0.5, row + 0.5)
    lies inside a triangle. The smallest depth wins; it has to be linear on the screen, as minus the
    reciprocal of the distance is. Only triangles that run clockwise on the screen (x right, y down)
    are drawn, unless `both_sides`.
    """
    corners = points.astype(np.float32)[triangles]  # (T, 3, 3)
    kept, area = _facing(corners, both_sides)
    low, high = _pixel_bounds(corners[kept], size)
    extent = high - low + 1
    hits = (extent > 0).all(1)
    kept, area, low, extent = kept[hits], area[hits], low[hits], extent[hits]
    planes = _planes(corners[kept], area)
    owner, column, row = _candidates(low, extent)
    x, y = column.astype(np.float32) + 0.5, row.astype(np.float32) + 0.5
    first = planes[owner, 0] * x + planes[owner, 1] * y + planes[owner, 2]
    second = planes[owner, 3] * x + planes[owner, 4] * y + planes[owner, 5]
    inside = (first >= 0) & (second >= 0) & (first + second <= 1)
    owner, first, second = owner[inside], first[inside], second[inside]
    flat = row[inside] * size[1] + column[inside]
    weights = np.stack((first, second, 1 - first - second), 1)
    depth = (weights * corners[kept[owner], :, 2]).sum(1)
    nearest = np.full(size[0] * size[1], np.inf, np.float32)
    np.minimum.at(nearest, flat, depth)
    winner = np.full(len(nearest), -1, np.int64)
    wins = np.flatnonzero(depth == nearest[flat])
    winner[flat[wins]] = wins  # of equals the last one, always the same
    pixel = np.flatnonzero(winner >= 0)
    chosen = winner[pixel]
    return Fragments(pixel, kept[owner[chosen]], weights[chosen], depth[chosen])


def _facing(corners: Floats, both_sides: bool) -> tuple[NDArray[np.int64], Floats]:
    """Rows of the triangles that face the camera, and twice their signed areas."""
    a, b, c = (corners[:, i, :2] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    kept = np.flatnonzero(area != 0 if both_sides else area > 0)
    return kept, area[kept]


def _pixel_bounds(
    corners: Floats, size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T, 2) first and last (column, row) whose centres the bounding boxes hold."""
    limit = np.array((size[1], size[0])) - 1
    low = np.ceil(corners[..., :2].min(1) - 0.5)
    high = np.floor(corners[..., :2].max(1) - 0.5)
    first = np.clip(low, 0, limit + 1).astype(np.int64)
    return first, np.clip(high, -1, limit).astype(np.int64)


def _planes(corners: Floats, area: Floats) -> NDArray[np.float32]:
    """(T, 6): the weights of the first two corners as planes over the screen."""
    a, b, c = (corners[:, i, :2].astype(np.float64) for i in range(3))
    columns = []
    for start, end in ((b, c), (c, a)):
        slope_x, slope_y = start[:, 1] - end[:, 1], end[:, 0] - start[:, 0]
        offset = -(slope_x * start[:, 0] + slope_y * start[:, 1])
        columns += [slope_x, slope_y, offset]
    return np.asarray(np.stack(columns, 1) / area[:, None], np.float32)


def _candidates(
    low: NDArray[np.int64], extent: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every pixel of every bounding box: row of the triangle, column, row of the image."""
    count = extent.prod(1)
    owner = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    width = extent[owner, 0]
    down = step // width
    return owner, low[owner, 0] + step - down * width, low[owner, 1] + down
