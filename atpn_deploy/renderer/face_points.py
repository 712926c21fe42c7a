"""The 98 WFLW points of a posed 3D head: those of the picture, not those of the skull.

WFLW's annotators mark what they see. The contour runs along the visible outline, its halves evenly
spaced from ear to chin; a feature that the nose or the cheek hides lies on the outline that hides
it. So every point has a path on the head's surface, from the middle of the face outwards, and its
place is where the path reaches farthest out in the picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.face_model import FaceModel

Floats = NDArray[np.floating[Any]]

CHIN, CONTOUR_END = 16, 32
PUPILS = ((96, 62, 66), (97, 70, 74))  # pupil, middle of the upper lid, middle of the lower

#: A point well inside the mean head, from which its face is seen as star-shaped; cm.
CENTRE = np.array((0.0, 0.0, 4.0))
#: A place of a path that lies deeper than the straight way by more than this is in a fold, cm.
FOLD_CM = 0.3
STEPS = 12  # samples of a path between two of its corners

#: Corners of three lines down the mean face's image-left half, (x, y, z) in cm. The contour's
#: paths start on the first (beside the nose, which is no part of the outline) and end on the last,
#: the edge of the face: in front of the ear, jaw, underside of the chin.
INNER = (
    (-1.2, 3.9, 9.8), (-1.9, 2.0, 9.6), (-2.2, 0.3, 9.6), (-1.4, -1.3, 10.5),
    (0.0, -2.2, 11.9), (0.0, -4.2, 11.6), (0.0, -5.6, 10.8), (0.0, -7.2, 10.6),
)  # fmt: skip
EDGE = (
    (-7.4, 3.7, 2.6), (-7.4, 0.5, 2.5), (-6.9, -2.6, 2.7), (-6.4, -4.8, 3.3),
    (-5.0, -6.4, 5.2), (-3.4, -7.5, 7.2), (-1.8, -8.0, 8.8), (0.0, -8.2, 9.6),
)  # fmt: skip


#: WFLW's contour begins this share of its half below the model's own ear point.
CONTOUR_START = 0.04

#: Where WFLW's annotators see a point of the image-left half elsewhere than the model file's vertex
#: lies: shifts in cm on the mean face (towards the ear, up), and shares of the way to another point
#: along the same lid or lip. Measured: the mean of 554 near-frontal WFLW faces against the mean of
#: renders. The other half is their mirror image.
SHIFTS = {
    33: (0.0, -0.3), 34: (-0.18, -0.1), 35: (-0.14, -0.24), 36: (0.13, -0.25), 37: (0.28, -0.2),
    38: (0.28, -0.06), 39: (0.1, 0.02), 41: (-0.1, -0.03),
    55: (0.2, 0.4), 56: (0.12, 0.3), 57: (0.0, 0.25), 60: (0.12, 0.0), 76: (0.1, 0.0),
}  # fmt: skip
MIXES = {
    61: (62, 0.2), 63: (62, 0.2), 65: (66, 0.28), 67: (66, 0.17), 78: (79, 0.3), 87: (76, 0.2),
    88: (76, 0.4), 89: (88, 0.2), 95: (88, 0.2),
}  # fmt: skip


@dataclass(frozen=True)
class PointPaths:
    """For each of the 98 points a path of K places on the surface, the point itself among them."""

    corners: NDArray[np.int64]  # (98, K, 3) vertices
    weights: NDArray[np.float32]  # (98, K, 3), they sum to 1
    outward: NDArray[np.float64]  # (98, 2) unit vectors: out of the upright face, x right, y down

    def own(self, vertices: Floats) -> Floats:
        """(98, 3): the ends of the paths; off the contour, the points themselves."""
        ends = self.weights[:, -1], vertices[self.corners[:, -1]]
        return np.asarray(np.einsum("pc,pcd->pd", *ends))

    def places(self, vertices: Floats) -> Floats:
        """(98, K, 3): the paths on a head of (V, 3) vertices."""
        return np.asarray(np.einsum("pkc,pkcd->pkd", self.weights, vertices[self.corners]))


def points_in_picture(
    paths: PointPaths,
    vertices: Floats,
    project: Callable[[Floats], Floats],
    *,
    lean: float = 0.0,
    ahead: float = 0.0,
) -> NDArray[np.float64]:
    """(98, 2) WFLW points in pixels, edge based.

    `vertices` (V, 3) are the head's own, `project` takes (..., 3) of them to (..., 2) pixels, and
    `lean` (radian, clockwise) says where the head's up is in the picture and `ahead` (-1 to 1) how
    far its nose points to the right across that.
    """
    places = project(paths.places(vertices).astype(np.float64))  # (98, K, 2)
    cosine, sine = np.cos(lean), np.sin(lean)
    upright = paths.outward.copy()
    # In a profile the outline runs down the front of lips and chin: out is forwards there.
    far = upright[: CONTOUR_END + 1, 0] * ahead > 0
    upright[: CONTOUR_END + 1][far, 0] += ahead
    outward = upright @ np.array([[cosine, sine], [-sine, cosine]])
    reach = np.einsum("pkd,pd->pk", places, outward)
    points = places[np.arange(len(places)), reach.argmax(1)]
    for pupil, upper, lower in PUPILS:
        points[pupil] = _between_lids(points[pupil], points[upper], points[lower])
    right, left = points[: CHIN + 1], points[CONTOUR_END : CHIN - 1 : -1]
    points[: CHIN + 1] = _contour_half(right)
    points[CONTOUR_END : CHIN - 1 : -1] = _contour_half(left)
    return np.asarray(points)


def _contour_half(line: Floats) -> NDArray[np.float64]:
    """The outline from ear to chin (17, 2) as WFLW spaces it."""
    fine = evenly_spaced(line, 401)
    return evenly_spaced(fine[round(400 * CONTOUR_START) :], CHIN + 1)


def evenly_spaced(line: Floats, count: int) -> NDArray[np.float64]:
    """`count` points at equal distances along a polyline (N, D), its ends among them."""
    length = np.linalg.norm(np.diff(line, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(length)))
    wanted = np.linspace(0, along[-1], count)
    return np.stack([np.interp(wanted, along, column) for column in line.T], 1)


def _between_lids(pupil: Floats, upper: Floats, lower: Floats) -> Floats:
    """Behind a lid the pupil is marked where the eye is still open."""
    down = lower - upper
    length = float(down @ down)
    if length == 0:
        return pupil
    share = float((pupil - upper) @ down) / length
    return np.asarray(pupil + (np.clip(share, 0.2, 0.8) - share) * down)


def make_paths(model: FaceModel) -> PointPaths:
    """Lay the paths on the mean head; they hold for every other shape of it."""
    from atpn_deploy.mean_shape import mirror_map  # imports torch

    surface = _Surface(model)
    mean = model.neutral[model.landmarks].astype(np.float64)
    mirror = mirror_map(len(mean))
    paths, outward = [], []
    for index, point in enumerate(mean):
        side = 0.0 if index in mirror_axis(mirror) else float(np.sign(point[0]))
        if index <= CONTOUR_END:
            found = [surface.below(place) for place in _sampled(_contour_path(index, point))]
            outward.append((point[0], -point[1]))
        else:
            own = _own_place(model, surface, index, mirror)
            middle = np.array((0.0, point[1], point[2] + 2))
            line = [middle, own.on(model.neutral)] if side else []
            between = [surface.below(place) for place in _sampled(line)[:-1]]
            found = [*surface.in_front(between, own), own]
            outward.append((side or 1.0, 0.0))
        paths.append(found + [found[-1]] * (2 * STEPS + 1 - len(found)))
    direction = np.array(outward)
    return PointPaths(
        np.array([[place.corners for place in path] for path in paths]),
        np.array([[place.weights for place in path] for path in paths], np.float32),
        direction / np.linalg.norm(direction, axis=1, keepdims=True),
    )


def mirror_axis(mirror: list[int]) -> set[int]:
    """The points on the face's middle line: their own mirror twins."""
    return {index for index, twin in enumerate(mirror) if index == twin}


def _own_place(model: FaceModel, surface: _Surface, index: int, mirror: list[int]) -> _Place:
    """Where a point that is not on the contour lies, the file's vertex corrected to WFLW's."""
    vertex = int(model.landmarks[index])
    for given, swap in ((index, False), (mirror[index], True)):
        if given in MIXES:
            other, share = MIXES[given]
            end = int(model.landmarks[mirror[other] if swap else other])
            return _Place(np.array((vertex, end, end)), np.array((1 - share, share, 0.0)))
        if given in SHIFTS:
            aside, up = SHIFTS[given]
            side = 1.0 if swap else -1.0
            moved = model.neutral[vertex] + np.array((side * aside, up, 0.0))
            return surface.below(moved)
    return _Place(np.full(3, vertex), np.array((1.0, 0.0, 0.0)))


def _contour_path(index: int, point: Floats) -> list[Floats]:
    """Corners of a contour point's path: on the inner face, its own place, the face's edge."""
    step = min(index, CONTOUR_END - index)
    side = np.array((-1.0 if index > CHIN else 1.0, 1.0, 1.0))
    inner = evenly_spaced(np.array(INNER), CHIN + 1)[step] * side
    edge = evenly_spaced(np.array(EDGE), CHIN + 1)[step] * side
    return [inner, point, edge]


def _sampled(line: list[Floats]) -> list[Floats]:
    """The corners of a path with STEPS - 1 points between each two."""
    places = line[:1]
    for start, end in itertools.pairwise(line):
        shares = np.linspace(0, 1, STEPS + 1)[1:, None]
        places += list((1 - shares) * start + shares * end)
    return places


@dataclass(frozen=True)
class _Place:
    """A place in a triangle of the mesh."""

    corners: NDArray[np.int64]  # (3,) vertices
    weights: NDArray[np.float64]  # (3,), they sum to 1

    def on(self, vertices: Floats) -> Floats:
        """(3,): where it lies on a head of (V, 3) vertices."""
        return np.asarray(self.weights @ vertices[self.corners])


class _Surface:
    """The mean face as seen from CENTRE: which triangle lies in a direction."""

    def __init__(self, model: FaceModel) -> None:
        self.vertices = model.neutral.astype(np.float64)
        self.triangles = model.triangles_of("face")
        rays = self.vertices[: self.triangles.max() + 1] - CENTRE
        self.directions = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        order = np.argsort(self.triangles.ravel(), kind="stable")
        self.owners = order // 3  # triangles by vertex
        self.starts = np.searchsorted(self.triangles.ravel()[order], np.arange(len(rays) + 1))

    def in_front(self, places: list[_Place], own: _Place) -> list[_Place]:
        """Those that could hide `own`: not the folds behind lids and lips."""
        reach = [np.linalg.norm(p.on(self.vertices) - CENTRE) for p in (*places, own)]
        straight = np.linspace(reach[0], reach[-1], len(reach)) - FOLD_CM
        return [
            place for place, near, far in zip(places, straight, reach, strict=False) if far >= near
        ]

    def below(self, place: Floats) -> _Place:
        """The outermost place of the face in the direction of `place`."""
        ray = place - CENTRE
        ray = ray / np.linalg.norm(ray)
        near = np.argpartition(-(self.directions @ ray), 16)[:16]
        touching = [self.owners[self.starts[v] : self.starts[v + 1]] for v in near]
        rows = self.triangles[np.unique(np.concatenate(touching))]
        basis = self.vertices[rows].swapaxes(1, 2) - CENTRE[:, None]  # columns are corners
        solvable = np.abs(np.linalg.det(basis)) > 1e-9
        rows, basis = rows[solvable], basis[solvable]
        share = np.linalg.solve(basis, np.broadcast_to(ray[:, None], (len(rows), 3, 1)))[..., 0]
        hit = np.flatnonzero((share >= -1e-9).all(1) & (share.sum(1) > 0))
        if not len(hit):
            return _Place(np.full(3, near[0]), np.array((1.0, 0.0, 0.0)))
        best = hit[np.argmin(share[hit].sum(1))]  # the smallest sum is the farthest out
        weights = np.clip(share[best], 0, None)
        return _Place(rows[best], weights / weights.sum())
