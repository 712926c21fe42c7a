"""Faces drawn into a photograph: points by part, pose axes, square and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.draw_label import SHADE, WHITE, Colour, draw_label
from atpn_deploy.errors import MissingToolError
from atpn_deploy.pose import axes

if TYPE_CHECKING:
    from atpn_deploy.crop import Box
    from atpn_deploy.faces import Face

#: The parts of the 98-point markup: first point, last point, whether it closes, colour.
PARTS: tuple[tuple[int, int, bool, Colour], ...] = (
    (0, 32, False, (255, 214, 74)),  # contour, ear to ear
    (33, 41, True, (255, 140, 66)),  # the person's right brow
    (42, 50, True, (255, 140, 66)),
    (51, 54, False, (120, 220, 255)),  # bridge of the nose
    (55, 59, False, (120, 220, 255)),  # nostrils
    (60, 67, True, (130, 255, 150)),  # the person's right eye
    (68, 75, True, (130, 255, 150)),
    (76, 87, True, (255, 120, 190)),  # outer lips
    (88, 95, True, (255, 120, 190)),  # inner lips
    (96, 96, False, (255, 255, 255)),  # pupils
    (97, 97, False, (255, 255, 255)),
)
#: Figure 1: front red, up blue, left (the person's) green.
AXIS_COLOURS: tuple[Colour, ...] = ((240, 40, 40), (60, 110, 255), (40, 205, 70))

#: From this side on, in pixels, a face's label holds the angles.
SMALLEST_WITH_ANGLES = 150.0

#: OpenCV draws at sub-pixel positions given as integers with this many fractional bits.
SHIFT = 4


def require_drawing() -> None:
    """Raise MissingToolError, with the pip line, without OpenCV or without Pillow."""
    try:
        import cv2  # noqa: F401 (only whether it is there)
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            "drawing needs OpenCV and Pillow: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error


def annotate(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A copy of an (H, W, 3) RGB image with every face drawn in; smaller faces lie on top.

    Raises MissingToolError without OpenCV or without Pillow.
    """
    require_drawing()
    canvas = np.ascontiguousarray(image).copy()
    ordered = sorted(faces, key=lambda face: -face.box.side)
    for face in ordered:
        draw_corners(canvas, face.box)
        draw_face(canvas, face)
    for face in ordered:
        draw_label(canvas, label_of(face), face.box)
    return canvas


def draw_face(canvas: NDArray[np.uint8], face: Face) -> None:
    """Draw points and pose axes of a face into an (H, W, 3) RGB image, without square and label.

    A pose that is NaN, from a file that computes none, is left out.
    """
    _draw_points(canvas, face)
    if np.isfinite(face.pose).all():
        _draw_axes(canvas, face)


def stroke_of(side: float) -> float:
    """Width of a thin line, in pixels, on a face whose square has this side."""
    return max(1.0, side / 220)


def draw_axes(
    canvas: NDArray[np.uint8],
    pose: NDArray[np.floating],
    origin: NDArray[np.floating],
    length: float,
) -> None:
    """Draw the axes of a pose into `canvas`, from `origin` in pixels, `length` pixels long."""
    stroke = max(1.0, length / 30)
    directions = axes(pose)
    # What points away from the viewer is drawn first, so that the nearer axes lie over it.
    for i in sorted(range(3), key=lambda i: -directions[i, 2]):
        _arrow(canvas, origin, origin + length * directions[i, :2], stroke, AXIS_COLOURS[i])


def _draw_axes(canvas: NDArray[np.uint8], face: Face) -> None:
    # From the bridge of the nose: it lies in front of the head's own centre.
    draw_axes(canvas, face.pose, face.landmarks[51:55].mean(0), 0.32 * face.box.side)


def _arrow(
    canvas: NDArray[np.uint8],
    start: NDArray[np.floating],
    tip: NDArray[np.floating],
    stroke: float,
    colour: Colour,
) -> None:
    """A line with a filled head and a dark rim; a mere dot where it points at the viewer."""
    import cv2

    along = tip - start
    length = float(np.hypot(*along))
    if length < 2 * stroke:
        for radius, fill in ((1.3 * stroke + 1, SHADE), (1.3 * stroke, colour)):
            cv2.circle(canvas, _fixed(tip), _scaled(radius), fill, -1, cv2.LINE_AA, SHIFT)
        return
    along = along / length
    across = np.array((-along[1], along[0]))
    head = min(4.5 * stroke, 0.6 * length)
    neck = tip - head * along
    corners = _all_fixed(np.array((tip, neck + head / 2 * across, neck - head / 2 * across)))
    width, rim = max(1, round(stroke)), max(1, round(stroke / 4))
    ends = _fixed(start), _fixed(neck)
    cv2.line(canvas, *ends, SHADE, width + 2 * rim, cv2.LINE_AA, SHIFT)
    cv2.polylines(canvas, [corners], True, SHADE, 2 * rim, cv2.LINE_AA, SHIFT)
    cv2.line(canvas, *ends, colour, width, cv2.LINE_AA, SHIFT)
    cv2.fillConvexPoly(canvas, corners, colour, cv2.LINE_AA, SHIFT)


def _draw_points(canvas: NDArray[np.uint8], face: Face) -> None:
    """Lines first, thin; then the points, each with a dark rim that keeps it visible on skin."""
    import cv2

    side = face.box.side
    width, radius = max(1, round(stroke_of(side) * 0.6)), max(0.9, side / 190)
    points, dot, rim = _all_fixed(face.landmarks), _scaled(radius), _scaled(radius * 1.3 + 0.3)
    large = side >= 90  # on a smaller face lines and rims would bury the points
    if large:
        for first, last, closed, colour in PARTS:
            line = points[first : last + 1]
            cv2.polylines(canvas, [line], closed, colour, width, cv2.LINE_AA, SHIFT)
    for first, last, _, colour in PARTS:
        for centre in points[first : last + 1].tolist():
            if large:
                cv2.circle(canvas, centre, rim, SHADE, -1, cv2.LINE_AA, SHIFT)
            cv2.circle(canvas, centre, dot, colour, -1, cv2.LINE_AA, SHIFT)


def draw_corners(
    canvas: NDArray[np.uint8], box: Box, colour: Colour = WHITE, arm: float = 0.12
) -> None:
    """Draw the four corners of a square: a whole frame would cross neighbouring faces.

    `arm` is how far each reaches along a side, as a share of it.
    """
    import cv2

    stroke, reach = stroke_of(box.side), arm * box.side
    for widen, ink in ((2, SHADE), (0, colour)):
        for x, inward in ((box.left, reach), (box.left + box.side, -reach)):
            for y, downward in ((box.top, reach), (box.top + box.side, -reach)):
                corner = np.array([(x + inward, y), (x, y), (x, y + downward)])
                line = _all_fixed(corner)
                width = max(1, round(stroke)) + widen
                cv2.polylines(canvas, [line], False, ink, width, cv2.LINE_AA, SHIFT)


def _fixed(point: NDArray[np.floating]) -> tuple[int, int]:
    """One point (x, y) as OpenCV takes it."""
    x, y = _all_fixed(point).tolist()
    return x, y


def _all_fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Edge-based pixels (..., 2) to OpenCV's centre-based fixed point, within its 16-bit range."""
    centred = np.clip(np.asarray(points, np.float64) - 0.5, -32000, 32000)
    return np.rint(centred * (1 << SHIFT)).astype(np.int32)


def _scaled(length: float) -> int:
    return max(1, round(length * (1 << SHIFT)))


def label_of(face: Face) -> str:
    """What is written at a face: confidence, then yaw, pitch and roll in degrees.

    The angles are left out where they would cover a small face's neighbours.
    """
    sure = f"{face.confidence:.0%}"
    if face.box.side < SMALLEST_WITH_ANGLES:
        return sure
    yaw, pitch, roll = np.degrees(face.pose)
    return f"{sure}   yaw {yaw:+.0f}°  pitch {pitch:+.0f}°  roll {roll:+.0f}°"
