"""The pose convention, stated once: three angles in radians, and where the head then points.

A pose is (yaw, pitch, roll), with the signs of AFLW2000-3D's `Pose_Para`:

- yaw > 0: the nose points to the left of the image (the person turns to their own right),
- pitch > 0: the person looks up,
- roll > 0: the head is turned clockwise on the screen.

The rotation acts on the camera's axes: x to the right of the image, y down, z away from the camera.
A head at (0, 0, 0) looks straight into the camera, its front along -z, its top along -y, its own
left along +x. `R = Rx(-pitch) Ry(yaw) Rz(roll)` turns it: roll is applied first, pitch last.
Camera axes are right-handed, so each R is the usual rotation matrix about that axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Front, up and the person's left of a head that looks into the camera, as columns.
REST = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], np.float64)


def rotation(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """(yaw, pitch, roll) in radians to the (3, 3) matrix that turns the resting head so."""
    yaw, pitch, roll = np.asarray(pose, np.float64)
    about_x, about_y, about_z = ((np.cos(angle), np.sin(angle)) for angle in (-pitch, yaw, roll))
    c, s = about_x
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = about_y
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = about_z
    lean = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return np.asarray(tilt @ turn @ lean)


def axes(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """(yaw, pitch, roll) in radians to (3, 3): front, up and left of the head, in camera axes.

    Row i is a unit vector (x right, y down, z away from the camera); its first two numbers are the
    direction to draw: front in red, up in blue, left in green (figure 1).
    """
    return np.asarray((rotation(pose) @ REST).T)
