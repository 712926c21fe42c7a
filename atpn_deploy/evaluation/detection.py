"""Detectors on photographs: which faces they find, alone and with ATPN's confidence deciding."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box, box_around
from atpn_deploy.datasets.faces import Image
from atpn_deploy.datasets.scenes import NEGATIVE_IOU, Scenes, landmark_boxes, overlap
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.faces import Session, find_faces

#: A square finds a face whose crop it meets with this IoU. Of training faces the crop round the
#: labelled box has a median IoU of 0.885 with the crop round the landmarks, so no more is asked.
FOUND_IOU = 0.5
#: Faces of at least this many pixels either way are counted.
SIZES_PX = (30, 60)
#: (width, height) of the frames on which a detector is timed.
FRAMES = ((400, 300), (640, 360), (1920, 1080))
#: Photographs that each of them is made of.
TIMED = 8

Clock = Callable[[], float]


@dataclass(frozen=True)
class DetectionFigures:
    """What one detector finds in a set of photographs."""

    photographs: int
    faces: dict[int, int]  # by smallest size in pixels: faces that there are
    found: dict[int, int]  # of these, the ones that a square meets
    #: Squares whose IoU with every labelled face, of whatever size, is below the 0.3 of a negative.
    false_alarms: int
    squares: int  # all of them
    ms: float  # median processor time a photograph


@dataclass(frozen=True)
class DetectorResult:
    """A detector alone, and, where a network was given, after it has decided."""

    detector: str
    alone: DetectionFigures
    decided: DetectionFigures | None
    frame_ms: dict[tuple[int, int], float]  # by (width, height): median processor time of `propose`


def measure_detector(
    name: str,
    detector: Detector,
    scenes: Scenes,
    session: Session | None,
    *,
    clock: Clock = time.process_time,
) -> DetectorResult:
    """Look at every photograph once; `clock` gives seconds."""
    detector.propose(scenes.images[0])  # what a runtime does only once is not counted
    alone, decided = _Tally(), _Tally()
    for image, boxes, usable in zip(scenes.images, scenes.boxes, scenes.usable, strict=True):
        truth = _Truth.of(boxes, usable)
        began = clock()
        squares = detector.propose(image)
        proposed = clock()
        alone.add(truth, squares, proposed - began)
        if session is not None:
            kept = [face.box for face in find_faces(image, session, _Told(squares))]
            decided.add(truth, kept, clock() - began)
    frame_ms = {size: time_frames(detector, scenes.images, size, clock) for size in FRAMES}
    return DetectorResult(
        name, alone.figures(), None if session is None else decided.figures(), frame_ms
    )


def time_frames(
    detector: Detector, images: Sequence[Image], size: tuple[int, int], clock: Clock
) -> float:
    """Median milliseconds of `propose` on photographs that fill frames of (width, height)."""
    taken = []
    for index in np.linspace(0, len(images) - 1, min(TIMED, len(images))).round().astype(int):
        frame = filling(images[int(index)], size)
        began = clock()
        detector.propose(frame)
        taken.append(clock() - began)
    return 1000 * float(np.median(taken))


def filling(image: Image, size: tuple[int, int]) -> Image:
    """The photograph scaled until it covers (width, height), its middle."""
    import cv2

    width, height = size
    zoom = max(width / image.shape[1], height / image.shape[0])
    scaled = (max(width, round(image.shape[1] * zoom)), max(height, round(image.shape[0] * zoom)))
    kernel = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    large = cv2.resize(image, scaled, interpolation=kernel)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return np.ascontiguousarray(large[top : top + height, left : left + width], np.uint8)


class _Told:
    """The squares that a detector has proposed already."""

    def __init__(self, squares: list[Box]) -> None:
        self._squares = squares

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        return self._squares


@dataclass(frozen=True)
class _Truth:
    """The faces of one photograph."""

    squares: list[Box]  # of all faces, as the contract crops them
    size_px: NDArray[np.float64]  # (K,) the shorter side of each face's box
    usable: NDArray[np.bool_]  # (K,) whether it is to be found

    @classmethod
    def of(cls, boxes: NDArray[np.float32], usable: NDArray[np.bool_]) -> _Truth:
        squares = [box_around(box.reshape(2, 2)) for box in landmark_boxes(boxes)]
        sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
        return cls(squares, sides.min(1, initial=np.inf), usable)


class _Tally:
    """Sums over photographs."""

    def __init__(self) -> None:
        self._faces = dict.fromkeys(SIZES_PX, 0)
        self._found = dict.fromkeys(SIZES_PX, 0)
        self._alarms = self._squares = 0
        self._seconds: list[float] = []

    def add(self, truth: _Truth, squares: list[Box], seconds: float) -> None:
        met = iou(truth.squares, squares)  # (faces, squares)
        hit = met.max(1, initial=0) >= FOUND_IOU
        for size in SIZES_PX:
            counted = truth.usable & (truth.size_px >= size)
            self._faces[size] += int(counted.sum())
            self._found[size] += int((counted & hit).sum())
        self._alarms += int((met.max(0, initial=0) < NEGATIVE_IOU).sum())
        self._squares += len(squares)
        self._seconds.append(seconds)

    def figures(self) -> DetectionFigures:
        return DetectionFigures(
            len(self._seconds),
            self._faces,
            self._found,
            self._alarms,
            self._squares,
            1000 * float(np.median(self._seconds)),
        )


def iou(ones: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union of each of N squares with each of M, (N, M), 0 to 1."""
    values = [overlap(one, other) for one in ones for other in others]
    return np.array(values, np.float64).reshape(len(ones), len(others))
