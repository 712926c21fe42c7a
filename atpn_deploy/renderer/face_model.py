"""The ICT 3D face model as one file: a head's shape from identity and expression coefficients."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import DatasetError

Floats = NDArray[np.floating[Any]]

SOURCE = (
    "an .npz of ICT-FaceKit's light face model (github.com/ICT-VGL/ICT-FaceKit, MIT licence) with "
    "neutral, identity, expression, expression_names, tri and landmarks98_candidate"
)

ARRAYS = (
    *("neutral", "identity", "expression", "expression_names", "tri"),
    "landmarks98_candidate",
)

#: Vertices of the model in the order of its own README: first of each part, then its name.
PARTS = (
    (0, "face"),
    (9409, "head"),
    (11248, "mouth socket"),
    (13294, "eye socket"),
    (14062, "gums"),
    (17039, "teeth"),
    (21451, "eye"),  # its left one: the clear outer shell, then the ball
    (22221, "inner eye"),
    (23021, "eye"),
    (23791, "inner eye"),
)
#: Parts that the renderer draws; the ball under the clear shell is never seen.
DRAWN = ("face", "head", "mouth socket", "eye socket", "gums", "teeth", "eye")
VERTEX_COUNT = 24591

#: The axis of the canonical cylinder that textures are drawn on, in cm in front of the origin.
AXIS_DEPTH_CM = 2.0


@dataclass(frozen=True)
class FaceModel:
    """A linear model of heads, in cm: x to the person's left, y up, z out of the face."""

    neutral: NDArray[np.float32]  # (V, 3)
    identity: NDArray[np.float32]  # (M, V, 3) for coefficients of standard deviation 1
    expression: NDArray[np.float32]  # (E, V, 3) for coefficients 0 to 1
    expression_names: tuple[str, ...]  # (E,)
    triangles: NDArray[np.int64]  # (T, 3) clockwise seen from outside, on a screen with y down
    landmarks: NDArray[np.int64]  # (98,) vertices, WFLW order

    def shape(self, identity: Floats, expression: dict[str, float]) -> NDArray[np.float32]:
        """(V, 3): the head for (M,) identity coefficients and named expression coefficients."""
        flat = self.identity.reshape(len(self.identity), -1)
        moved = self.neutral + (identity.astype(np.float32) @ flat).reshape(-1, 3)
        for name, amount in expression.items():
            moved += np.float32(amount) * self.expression[self.expression_names.index(name)]
        return np.asarray(moved)

    @cached_property
    def part(self) -> NDArray[np.str_]:
        """(V,) name of each vertex's part, as in PARTS."""
        starts = np.array([start for start, _ in PARTS])
        names = np.array([name for _, name in PARTS])
        return names[np.searchsorted(starts, np.arange(len(self.neutral)), "right") - 1]

    @cached_property
    def canonical(self) -> NDArray[np.float32]:
        """(V, 2) cm: where a vertex lies on the unrolled cylinder about the mean head.

        The first number is the angle from straight ahead, the person's left positive, times 9 cm;
        the second is the height. Textures are drawn here, so they follow shape and expression.
        """
        return np.asarray(unrolled(self.neutral), np.float32)

    def open_mouth(self, vertices: Floats) -> bool:
        """Whether the lips are apart, so that what is behind them can be seen."""
        upper, lower = vertices[self.landmarks[90]], vertices[self.landmarks[94]]
        return bool(upper[1] - lower[1] > OPEN_CM)

    def triangles_of(self, *parts: str) -> NDArray[np.int64]:
        """The triangles of the named parts."""
        return self.triangles[np.isin(self.part[self.triangles[:, 0]], parts)]


#: Height of the gap between the lips above which the mouth counts as open.
OPEN_CM = 0.15


def unrolled(points: Floats) -> Floats:
    """(..., 3) points of the mean head to (..., 2): angle times 9 cm, height."""
    angle = np.arctan2(points[..., 0], points[..., 2] - AXIS_DEPTH_CM)
    return np.stack((9 * angle, points[..., 1]), -1)


def load_face_model(path: Path) -> FaceModel:
    """Read the model; DatasetError where the file is missing, pickled or of another shape."""
    arrays = _arrays(path)
    _check_shapes(path, arrays)
    for name in ("neutral", "identity", "expression"):
        if not np.isfinite(arrays[name]).all():
            raise DatasetError(f"{path}: {name} has values that are not finite; give {SOURCE}")
    triangles = arrays["tri"].astype(np.int64)
    landmarks = arrays["landmarks98_candidate"].astype(np.int64)
    for index in (triangles.max(), triangles.min(), landmarks.max(), landmarks.min()):
        if not 0 <= index < VERTEX_COUNT:
            raise DatasetError(
                f"{path} refers to vertex number {index}, expected 0 to {VERTEX_COUNT - 1}; "
                f"give {SOURCE}"
            )
    return FaceModel(
        arrays["neutral"].astype(np.float32),
        arrays["identity"].astype(np.float32),
        arrays["expression"].astype(np.float32),
        tuple(str(name) for name in arrays["expression_names"]),
        triangles[:, ::-1].copy(),
        landmarks,
    )


def _check_shapes(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays that are not those of one model; None stands for any number above 0."""
    names = len(arrays["expression_names"]) if arrays["expression_names"].ndim == 1 else 0
    expected: dict[str, tuple[int | None, ...]] = {
        "neutral": (VERTEX_COUNT, 3),
        "identity": (None, VERTEX_COUNT, 3),
        "expression": (names, VERTEX_COUNT, 3),
        "tri": (None, 3),
        "landmarks98_candidate": (98,),
    }
    for name, shape in expected.items():
        given = arrays[name].shape
        fits = len(given) == len(shape) and all(
            have > 0 and want in (None, have) for have, want in zip(given, shape, strict=True)
        )
        if not fits:
            text = ", ".join("any" if want is None else str(want) for want in shape)
            raise DatasetError(
                f"{path}: {name} has the shape {given}, expected ({text}); give {SOURCE}"
            )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that the model needs, as they are stored."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; give {SOURCE}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is not the face model ({error}); give {SOURCE}") from error
