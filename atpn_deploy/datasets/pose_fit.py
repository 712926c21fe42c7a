"""Head pose of a face from its landmarks: a 3D face model turned and bent until it fits them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.packs import read_labels

Floats = NDArray[np.floating[Any]]

#: Of the 68 points, those that are fixed on the head: the contour (0..16) slides over it.
FIXED_POINTS = slice(17, 68)

IDENTITY_MODES, EXPRESSION_MODES = 20, 12
#: Half of the median residual, in units of the root mean square size of the face: points further
#: off weigh less (a wrong point, or one that its neighbours hide).
OUTLIER = 0.06
#: Standard deviation of a well placed point in the same unit; decides how far modes may go.
POINT_SIGMA = 0.05


@dataclass(frozen=True)
class PoseModel:
    """The 51 fixed points of a 3D face and how they move from person to person.

    Axes as in a picture: x right, y down, z away from the camera, the face looking at the camera.
    """

    mean: NDArray[np.float64]  # (51, 3), centred
    modes: NDArray[np.float64]  # (K, 51, 3), one standard deviation each


def pose_model(face_model: Path) -> PoseModel:
    """Take the points and main modes out of the ICT face model's .npz."""
    archive = read_labels(face_model)
    vertices = archive["landmarks68"][FIXED_POINTS].astype(np.int64)
    to_picture = np.array((1.0, -1.0, -1.0))  # the model has y up and z towards the viewer
    mean = archive["neutral"][vertices].astype(np.float64) * to_picture
    identity = archive["identity"][:IDENTITY_MODES, vertices].astype(np.float64) * to_picture
    shapes = archive["expression"][:, vertices].astype(np.float64) * to_picture
    # 57 blendshapes overlap; their main directions, scaled as if each were half raised by chance.
    _, size, directions = np.linalg.svd(shapes.reshape(len(shapes), -1), full_matrices=False)
    scaled = 1.5 * size[:EXPRESSION_MODES, None] * directions[:EXPRESSION_MODES]
    expression = (scaled / np.sqrt(len(shapes))).reshape(EXPRESSION_MODES, -1, 3)
    return PoseModel(mean - mean.mean(0), np.concatenate((identity, expression)))


#: What a fit of the ICT model must be pitched by (degrees, at these absolute yaws) to be in the
#: frame of AFLW2000-3D and 300W-LP, whose poses are those of the Basel face model. Found by fitting
#: the ICT model to projections of the Basel model's mean (its 68 points as 3DDFA publishes them),
#: pitch -20..20. Seen from the front the two differ most: the ICT mean has the higher nose tip, and
#: from there only the nose tells pitch.
FRAME_YAW_DEG = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0)
FRAME_PITCH_DEG = (6.6, 5.3, 3.3, 1.95, 1.1, 0.6)


def fit_pose(
    model: PoseModel, points: Floats, weights: Floats | None = None, chunk: int = 512
) -> tuple[Floats, Floats]:
    """(N, 68, 2) points in pixels to pose (N, 3) and the median residual (N,).

    Pose is (yaw, pitch, roll) in radians, signs as in `atpn_deploy.pose`; the residual is in units
    of the root mean square distance of the points from their centre. `weights` (N, 68) say how much
    a point counts. Weak perspective, iteratively reweighted Gauss-Newton; of three rigid fits from
    different yaws the best goes on, now bending too.
    """
    known = np.ones(points.shape[:2]) if weights is None else weights
    rotations, residuals = [], []
    for first in range(0, len(points), chunk):
        part = slice(first, first + chunk)
        trust = np.sqrt(np.asarray(known[part, FIXED_POINTS], np.float64))
        target = _normalised(np.asarray(points[part, FIXED_POINTS], np.float64), trust)
        starts = [_rigid_start(model, len(target), yaw) for yaw in (0.0, 0.8, -0.8)]
        fits = [_improve(model, target, trust, start, 6, rigid=True) for start in starts]
        best = np.stack([fit.residual for fit in fits]).argmin(0)
        fit = _improve(model, target, trust, _chosen(fits, best), 14, rigid=False)
        rotations.append(fit.rotation)
        residuals.append(fit.residual)
    rotation = np.concatenate(rotations)
    yaw = np.degrees(np.abs(euler(rotation)[:, 0]))
    frames = _about_x(np.radians(np.interp(yaw, FRAME_YAW_DEG, FRAME_PITCH_DEG)))
    return euler(rotation @ frames), np.concatenate(residuals)


def euler(rotation: Floats) -> Floats:
    """(N, 3, 3) = Rx(-pitch) Ry(yaw) Rz(roll) to (N, 3) (yaw, pitch, roll)."""
    yaw = np.arcsin(np.clip(rotation[:, 0, 2], -1, 1))
    pitch = np.arctan2(rotation[:, 1, 2], rotation[:, 2, 2])
    roll = np.arctan2(-rotation[:, 0, 1], rotation[:, 0, 0])
    return np.stack((yaw, pitch, roll), -1)


@dataclass(frozen=True)
class _Fit:
    """Where the model stands for each of n faces."""

    rotation: Floats  # (n, 3, 3)
    scale: Floats  # (n,)
    shift: Floats  # (n, 2)
    bend: Floats  # (n, K) mode coefficients
    residual: Floats  # (n,)


def _rigid_start(model: PoseModel, count: int, yaw: float) -> _Fit:
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    size = np.sqrt(np.square(model.mean[:, :2]).sum(-1).mean())
    return _Fit(
        np.repeat(turned[None], count, 0),
        np.full(count, 1 / size),
        np.zeros((count, 2)),
        np.zeros((count, len(model.modes))),
        np.full(count, np.inf),
    )


def _chosen(fits: list[_Fit], best: NDArray[np.intp]) -> _Fit:
    """Of each face the fit of that number."""
    face = np.arange(len(best))
    return _Fit(
        np.stack([fit.rotation for fit in fits])[best, face],
        np.stack([fit.scale for fit in fits])[best, face],
        np.stack([fit.shift for fit in fits])[best, face],
        np.stack([fit.bend for fit in fits])[best, face],
        np.stack([fit.residual for fit in fits])[best, face],
    )


def _normalised(points: Floats, trust: Floats) -> Floats:
    """Centred, root mean square distance from the centre 1, of the points that count."""
    share = (trust > 0) / np.maximum(1, (trust > 0).sum(1, keepdims=True))
    centred = points - (points * share[..., None]).sum(1, keepdims=True)
    size = np.sqrt((np.square(centred).sum(-1) * share).sum(1))
    return np.asarray(centred / np.maximum(size, 1e-6)[:, None, None])


def _improve(
    model: PoseModel, target: Floats, trust: Floats, fit: _Fit, steps: int, *, rigid: bool
) -> _Fit:
    """So many Gauss-Newton steps towards normalised points (n, 51, 2), without modes if `rigid`."""
    count, modes = len(target), len(model.modes)
    rotation, scale, shift, bend = fit.rotation, fit.scale, fit.shift, fit.bend.copy()
    flat = model.modes.reshape(modes, -1)
    free = 6 if rigid else 6 + modes
    prior = np.full(free, 1e-6)
    prior[6:] += POINT_SIGMA**2
    for _ in range(steps):
        shape = model.mean + (bend @ flat).reshape(count, -1, 3)
        posed = shape @ rotation.transpose(0, 2, 1)  # (n, 51, 3)
        error = target - scale[:, None, None] * posed[..., :2] - shift[:, None]
        distance = np.linalg.norm(error, axis=-1)
        weight = (trust * np.sqrt(OUTLIER / np.maximum(distance, OUTLIER)))[..., None]
        slopes = _slopes(model, rotation, scale, posed, rigid=rigid) * weight[..., None]
        slopes = slopes.reshape(count, -1, free)
        transposed = slopes.transpose(0, 2, 1)
        gradient = (transposed @ (error * weight).reshape(count, -1, 1))[..., 0]
        gradient[:, 6:] -= prior[6:] * bend[:, : free - 6]
        curvature = transposed @ slopes + np.diag(prior)
        change = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        rotation = _turn(np.clip(change[:, :3], -0.5, 0.5)) @ rotation
        shift = shift + change[:, 3:5]
        scale = scale * np.exp(np.clip(change[:, 5], -0.5, 0.5))
        bend[:, : free - 6] += change[:, 6:]
    counted = np.where(trust > 0, distance, np.nan)
    return _Fit(rotation, scale, shift, bend, np.nanmedian(counted, axis=1))


def _slopes(
    model: PoseModel, rotation: Floats, scale: Floats, posed: Floats, *, rigid: bool
) -> Floats:
    """(n, 51, 2, 6 + K): how the projected points move with turn, shift, log scale and modes."""
    count, modes = len(rotation), 0 if rigid else len(model.modes)
    slopes = np.zeros((count, posed.shape[1], 2, 6 + modes))
    x, y, z = (scale[:, None] * posed[..., axis] for axis in range(3))
    slopes[..., 0, 1], slopes[..., 0, 2] = z, -y
    slopes[..., 1, 0], slopes[..., 1, 2] = -z, x
    slopes[..., 0, 3] = slopes[..., 1, 4] = 1
    slopes[..., 0, 5], slopes[..., 1, 5] = x, y
    if rigid:
        return slopes
    rows = (rotation[:, :2] * scale[:, None, None]).reshape(-1, 3)  # (n 2, 3)
    moved = rows @ model.modes.reshape(-1, 3).T  # (n 2, K 51)
    moved = moved.reshape(count, 2, modes, -1)
    slopes[..., 6:] = moved.transpose(0, 3, 1, 2)
    return slopes


def _turn(vector: Floats) -> Floats:
    """(n, 3) rotation vectors to (n, 3, 3) (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)[:, None, None] + 1e-12
    x, y, z = vector.T
    zero = np.zeros_like(x)
    cross = np.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(-1, 3, 3) / angle
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))


def _about_x(pitch: Floats) -> Floats:
    """(n,) radians to the (n, 3, 3) rotations that pitch a head up by them."""
    cosine, sine = np.cos(pitch), np.sin(pitch)
    one, zero = np.ones_like(pitch), np.zeros_like(pitch)
    rows = (one, zero, zero, zero, cosine, sine, zero, -sine, cosine)
    return np.asarray(np.stack(rows, -1).reshape(-1, 3, 3))
