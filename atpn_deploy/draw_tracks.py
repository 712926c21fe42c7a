"""Tracked faces drawn into a frame: each in the colour of its id, a lost one dim and dashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box
from atpn_deploy.draw import draw_corners, draw_face, label_of, stroke_of
from atpn_deploy.draw_label import SHADE, Colour, draw_label
from atpn_deploy.tracking.frame_faces import TrackedFace

#: Square and label of id 1, 2, ...; after the last the first comes again. Okabe and Ito's colours,
#: told apart by every kind of colour vision.
ID_COLOURS: tuple[Colour, ...] = (
    (255, 255, 255),
    (86, 180, 233),
    (240, 228, 66),
    (230, 159, 0),
    (204, 121, 167),
    (0, 200, 150),
    (255, 130, 80),
)
#: Of a lost face.
DIM: Colour = (150, 150, 150)
#: Dashes along one side of a lost face's square.
DASHES = 7


def annotate_tracks(image: NDArray[np.uint8], faces: Sequence[TrackedFace]) -> NDArray[np.uint8]:
    """A copy of an (H, W, 3) RGB image with every face and its id; smaller faces lie on top.

    Of a lost face the square where it was last seen is drawn, and nothing inside it.
    """
    canvas = np.ascontiguousarray(image).copy()
    ordered = sorted(faces, key=lambda tracked: -tracked.face.box.side)
    for tracked in ordered:
        if tracked.state == "lost":
            _draw_dashes(canvas, tracked.face.box)
        else:
            draw_corners(canvas, tracked.face.box, _colour_of(tracked))
            draw_face(canvas, tracked.face)
    for tracked in ordered:
        draw_label(canvas, track_label(tracked), tracked.face.box, _colour_of(tracked))
    return canvas


def track_label(tracked: TrackedFace) -> str:
    """What is written at a face: its id, then what a photograph's label says, or `lost`."""
    rest = "lost" if tracked.state == "lost" else label_of(tracked.face)
    return f"{tracked.id}   {rest}"


def _colour_of(tracked: TrackedFace) -> Colour:
    return DIM if tracked.state == "lost" else ID_COLOURS[(tracked.id - 1) % len(ID_COLOURS)]


def _draw_dashes(canvas: NDArray[np.uint8], box: Box) -> None:
    """The whole square as a dashed line."""
    import cv2

    width = max(1, round(stroke_of(box.side)))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * box.side + (box.left, box.top)
    # Even parts are drawn, odd ones left out, so that a dash begins and ends each side.
    ends = np.linspace(0, 1, 2 * DASHES)
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        points = np.clip(start + ends[:, None] * (end - start), -32000, 32000)
        for k in range(0, 2 * DASHES, 2):
            a, b = (tuple(int(v) for v in np.rint(points[i] - 0.5)) for i in (k, k + 1))
            cv2.line(canvas, a, b, SHADE, width + 2, cv2.LINE_AA)
            cv2.line(canvas, a, b, DIM, width, cv2.LINE_AA)
