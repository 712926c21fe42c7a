"""The camera that looks at a synthetic head, in the axes and signs of `atpn_deploy.pose`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.pose import rotation

Floats = NDArray[np.floating[Any]]

#: The head turns about this point (cm, its own frame), which lies on the camera's axis.
PIVOT = np.array((0.0, 0.0, 4.0))
#: The model at rest looks up by this much in the frame that AFLW2000-3D and 300W-LP label in, which
#: is that of the Basel face model. Found by laying the two models' mean points over each other in
#: 3D (Procrustes; the Basel model's 68 as 3DDFA publishes them): 1.3 to 3.1 degrees of pitch, by
#: the points that are compared, median 1.9; yaw and roll agree by symmetry.
REST_PITCH = np.radians(1.9)


@dataclass(frozen=True)
class Camera:
    """A perspective camera that looks straight at the head's pivot.

    To move the face off the picture's middle the picture is shifted and not the camera turned, so
    the pose is exact wherever the face lies.
    """

    turn: NDArray[np.float64]  # (3, 3), head at rest to head as posed, in the camera's axes
    distance: float  # cm
    scale: float  # pixels per cm at the pivot
    centre: NDArray[np.float64]  # (2,) pixels, where the pivot appears

    @property
    def lean(self) -> float:
        """Radian, clockwise: how far the head's up is turned from the picture's."""
        up = self.turn @ (0, -1, 0)
        return float(np.arctan2(up[0], -up[1]))

    @property
    def ahead(self) -> float:
        """-1 to 1: how far the nose points to the right, across the head's up in the picture."""
        forward = self.turn @ (0, 0, -1)
        return float(forward[0] * np.cos(self.lean) + forward[1] * np.sin(self.lean))

    def posed(self, vertices: Floats) -> NDArray[np.float32]:
        """(..., 3) of the head's frame to the camera's, cm about the pivot."""
        rest = (vertices - PIVOT) * (1, -1, -1) @ rotation(np.array((0, -REST_PITCH, 0))).T
        return np.asarray(rest @ self.turn.T, np.float32)

    def project(self, vertices: Floats) -> NDArray[np.float64]:
        """(..., 3) of the head's frame to (..., 2) pixels, edge based."""
        return self.on_screen(self.posed(vertices))

    def on_screen(self, posed: Floats) -> NDArray[np.float64]:
        """(..., 3) of the camera's frame, as `posed` gives them, to (..., 2) pixels."""
        shrink = self.scale * self.distance / (self.distance + posed[..., 2:].astype(np.float64))
        return np.asarray(posed[..., :2] * shrink + self.centre)
