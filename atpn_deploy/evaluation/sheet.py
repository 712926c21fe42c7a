"""A contact sheet: what a network says of many faces, each in the crop that it saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import LANDMARKS
from atpn_deploy.crop import Box, box_around
from atpn_deploy.draw import draw_face
from atpn_deploy.errors import DatasetError, MissingToolError
from atpn_deploy.faces import Face

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from atpn_deploy.datasets.faces import FaceSet
    from atpn_deploy.evaluation.views import Seen

Image = NDArray[np.uint8]

#: Side of a face on the sheet, the space around it and the strips of text, in pixels.
SIDE = 208
GAP = 8
CAPTION_HEIGHT = 22
HEADING_HEIGHT = 34
PAPER, INK = (255, 255, 255), (28, 28, 32)


@dataclass(frozen=True)
class SheetFace:
    """One face of the sheet; the square of `face` is what is shown."""

    image: Image  # (H, W, 3) RGB
    face: Face  # as predicted, in pixels of the image
    caption: str


@dataclass(frozen=True)
class Section:
    """Some faces under a heading; without one where it is empty."""

    heading: str
    faces: tuple[SheetFace, ...]


def worst_first(faces: FaceSet, seen: Seen) -> NDArray[np.intp]:
    """(N,) indices of the faces, the largest NME first; by confidence where points aren't known.

    Raises DatasetError where there is neither annotation nor confidence.
    """
    errors = _errors(faces, seen)
    if errors is not None:
        return np.argsort(-np.nan_to_num(errors, nan=np.inf), kind="stable")
    if seen.confidence is None:
        raise DatasetError("no points are annotated and the file computes no confidence to sort by")
    return np.argsort(seen.confidence, kind="stable")


def worst_by_attribute(
    faces: FaceSet, seen: Seen, count: int
) -> list[tuple[str, NDArray[np.intp]]]:
    """For each attribute that has faces its name and its `count` worst.

    Raises DatasetError for faces without attributes.
    """
    from atpn_deploy.datasets.faces import ATTRIBUTES

    if faces.attributes is None:
        raise DatasetError("these faces are not labelled with attributes; sort them by error")
    order = worst_first(faces, seen)
    return [
        (name, order[labelled[order]][:count])
        for name, labelled in zip(ATTRIBUTES, faces.attributes.T, strict=True)
        if labelled.any()
    ]


def sheet_faces(
    faces: FaceSet, seen: Seen, chosen: Sequence[int] | NDArray[np.intp]
) -> list[SheetFace]:
    """The chosen faces with what was seen of them; only their images are decoded.

    `seen` is of all faces. Raises DatasetError for a network of other than 98 points.
    """
    errors = _errors(faces, seen)
    cells = []
    for i in (int(index) for index in chosen):
        confidence = float("nan") if seen.confidence is None else float(seen.confidence[i])
        pose = np.full(3, np.nan) if seen.pose is None else seen.pose[i]
        face = Face(box_around(faces.boxes[i].reshape(2, 2)), seen.landmarks[i], pose, confidence)
        error = None if errors is None else float(errors[i])
        cells.append(SheetFace(faces.images[i], face, caption_of(error, confidence)))
    return cells


def caption_of(error: float | None, confidence: float) -> str:
    """NME in percent and confidence in percent, as far as they are known."""
    parts = [] if error is None else [f"NME {100 * error:.1f} %"]
    parts += [] if math.isnan(confidence) else [f"face {100 * confidence:.0f} %"]
    return "   ".join(parts)


def contact_sheet(sections: Sequence[Section], columns: int, side: int = SIDE) -> Image:
    """Draw the sections one below the other into an (H, W, 3) RGB image on white.

    Each face is `side` pixels wide with its caption beneath. Raises DatasetError without a face or
    a column, and MissingToolError without Pillow.
    """
    if columns < 1 or not any(section.faces for section in sections):
        count = sum(len(section.faces) for section in sections)
        raise DatasetError(
            f"a contact sheet of {count} faces in {columns} columns; expected one of each at least"
        )
    places, height = _places(sections, columns, side)
    width = GAP + columns * (side + GAP)
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    for section, (_, corners) in zip(sections, places, strict=True):
        for cell, (left, top) in zip(section.faces, corners, strict=True):
            canvas[top : top + side, left : left + side] = drawn(cell, side)
    return _with_text(canvas, sections, places, side)


def drawn(cell: SheetFace, side: int) -> Image:
    """The square of a face, (side, side, 3), with its points and its pose drawn in."""
    if cell.face.landmarks.shape != LANDMARKS.shape[1:]:
        raise DatasetError(
            f"the sheet draws {LANDMARKS.shape[1]} points a face; "
            f"this network gives {len(cell.face.landmarks)}"
        )
    box = cell.face.box
    points = box.from_image(cell.face.landmarks) * side
    canvas = _enlarged(cell.image, box, side)
    draw_face(canvas, replace(cell.face, box=Box(0, 0, side), landmarks=points))
    return canvas


def _enlarged(image: Image, box: Box, side: int) -> Image:
    """`box` resampled to (side, side, 3); outside the image its border repeats, as in the crop."""
    import cv2

    samples = max(1, math.ceil(box.side / side))  # along one axis of a pixel, then averaged
    zoom = side * samples / box.side
    # OpenCV counts from pixel centres, a box from the edges of pixels.
    matrix = np.array([[zoom, 0, -zoom * box.left], [0, zoom, -zoom * box.top]])
    matrix[:, 2] += (zoom - 1) / 2
    size = (side * samples, side * samples)
    large = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


Corner = tuple[int, int]  # left, top


def _places(
    sections: Sequence[Section], columns: int, side: int
) -> tuple[list[tuple[int, list[Corner]]], int]:
    """For each section the top of its heading and its faces' corners; then the sheet's height."""
    places, top = [], GAP
    for section in sections:
        heading = top
        top += HEADING_HEIGHT if section.heading else 0
        step = side + CAPTION_HEIGHT + GAP
        corners = [
            (GAP + (i % columns) * (side + GAP), top + (i // columns) * step)
            for i in range(len(section.faces))
        ]
        places.append((heading, corners))
        top += math.ceil(len(section.faces) / columns) * step
    return places, top


def _with_text(
    canvas: Image, sections: Sequence[Section], places: list[tuple[int, list[Corner]]], side: int
) -> Image:
    try:
        from PIL import Image as PillowImage
        from PIL import ImageDraw, ImageFont
    except ImportError as error:
        raise MissingToolError(
            "a contact sheet needs Pillow: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error

    picture = PillowImage.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    for section, (heading, corners) in zip(sections, places, strict=True):
        if section.heading:
            font = ImageFont.load_default(18)
            pen.text((GAP, heading + HEADING_HEIGHT - 8), section.heading, INK, font, anchor="ls")
        for cell, (left, top) in zip(section.faces, corners, strict=True):
            _caption(pen, cell.caption, left, top + side, side)
    return np.array(picture)


def _caption(pen: ImageDraw, text: str, left: int, top: int, width: int) -> None:
    """One line; smaller, and at last cut off, where it would run into the neighbour."""
    from PIL import ImageFont

    size = 14.0
    while len(text) > 3 and pen.textlength(text, ImageFont.load_default(size)) > width:
        if size > 8:
            size -= 1
        else:
            text = text.removesuffix("...")[:-1] + "..."
    font = ImageFont.load_default(size)
    pen.text((left + width / 2, top + CAPTION_HEIGHT / 2), text, INK, font, anchor="mm")


def _errors(faces: FaceSet, seen: Seen) -> NDArray[np.float64] | None:
    """(N,) NME where every point of every face is annotated, else None."""
    from atpn_deploy.evaluation.alignment import errors_of

    if faces.points.shape[1] == 0 or not (faces.weights > 0).all():
        return None
    return errors_of(seen.landmarks, faces.points.astype(np.float64))[0]
