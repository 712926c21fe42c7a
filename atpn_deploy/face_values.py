"""A face as plain values for JSON: pixels of the picture, degrees, probability."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.faces import Face

ANGLES = ("yaw", "pitch", "roll")


def face_values(face: Face) -> dict[str, Any]:
    """`confidence`, `box`, `pose_degrees` and `landmarks` of a face.

    Positions are rounded to a hundredth of a pixel, angles to a hundredth of a degree. What is no
    finite number becomes None, which JSON calls null.
    """
    box, degrees = face.box, np.degrees(face.pose)
    return {
        "confidence": rounded(face.confidence, 4),
        "box": {name: rounded(getattr(box, name), 2) for name in ("left", "top", "side")},
        "pose_degrees": dict(zip(ANGLES, rounded_all(degrees, 2), strict=True)),
        "landmarks": rounded_all(face.landmarks, 2),
    }


def rounded(value: float, digits: int) -> float | None:
    """`value` with so many decimals; None where it is not finite."""
    return round(float(value), digits) if math.isfinite(value) else None


def rounded_all(values: NDArray[np.floating], digits: int) -> list[Any]:
    """Nested lists of `values` with so many decimals, None for what is not finite."""
    listed: list[Any] = np.round(np.asarray(values, np.float64), digits).tolist()
    return listed if np.isfinite(values).all() else _without_nan(listed)


def _without_nan(values: list[Any]) -> list[Any]:
    return [
        _without_nan(value)
        if isinstance(value, list)
        else (value if math.isfinite(value) else None)
        for value in values
    ]
