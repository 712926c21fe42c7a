"""Labelled video: landmarks in detection and in tracking mode, and how often a track is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CONFIDENCE, CONFIDENCE_THRESHOLD, LANDMARKS
from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.alignment import errors_of
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.results import VideoFigures, VideoResult
from atpn_deploy.evaluation.views import Advance, ignore
from atpn_deploy.faces import usable

Points = NDArray[np.float64]


class LabelledRun(Protocol):
    """Consecutive frames of one video that are all labelled."""

    @property
    def name(self) -> str:
        """The video's name, for messages."""

    @property
    def category(self) -> str:
        """`A`, `B` or `C`: what the figures are summed over."""

    @property
    def points(self) -> NDArray[np.float32]:
        """(F, P, 2) pixels, edge based, NaN where a point is not known."""

    def frames(self) -> Iterator[Image]:
        """The F frames in order, (H, W, 3) RGB, one in memory at a time."""


@dataclass
class _Tally:
    """What has been counted of one category; errors are fractions, one a frame."""

    sequences: int = 0
    detection_frames: int = 0
    tracking_frames: int = 0
    failure_frames: int = 0
    detected: list[tuple[float, float]] = field(default_factory=list)  # by ocular, by pupil
    tracked: list[tuple[float, float]] = field(default_factory=list)

    def figures(self) -> VideoFigures:
        detected, tracked = (100 * np.mean(e, axis=0) for e in (self.detected, self.tracked))
        return VideoFigures(
            sequences=self.sequences,
            detection_frames=self.detection_frames,
            tracking_frames=self.tracking_frames,
            failure_frames=self.failure_frames,
            nme_detection_percent=float(detected[0]),
            nme_tracking_percent=float(tracked[0]),
            nme_pupil_detection_percent=float(detected[1]),
            nme_pupil_tracking_percent=float(tracked[1]),
        )


def measure_video(
    networks: Sequence[Network],
    runs: Iterable[LabelledRun],
    dataset: str,
    advance: Advance = ignore,
) -> list[VideoResult]:
    """One result a network, over all runs; frames are decoded once and forgotten.

    Detection mode: every crop comes from the annotation. Tracking mode: the first crop of a run
    does, each further one from the landmarks of the frame before (25 % margin); where that frame's
    confidence was at or below the threshold it is a failure frame, and the next crop comes from the
    annotation again (section 4.3.3; tables 3 and 4). Every frame counts in both errors.
    """
    for network in networks:
        if not network.tells_faces:
            raise DatasetError(
                f"{network.name} computes no confidence; export it with all three tasks"
            )
    tallies: list[dict[str, _Tally]] = [{} for _ in networks]
    for run in runs:
        trackers = []
        for network, tally in zip(networks, tallies, strict=True):
            of_category = tally.setdefault(run.category, _Tally())
            of_category.sequences += 1
            trackers.append(_Tracker(network, of_category))
        if not np.isfinite(run.points).all():
            raise DatasetError(f"{run.name} has frames with unknown points; leave them out")
        for image, points in zip(run.frames(), run.points, strict=True):
            for tracker in trackers:
                tracker.step(image, points.astype(np.float64))
            advance(1)
    if not all(tallies):
        raise DatasetError("there are no labelled frames to measure on; expected one at least")
    return [
        VideoResult(dataset, {name: tally[name].figures() for name in sorted(tally)})
        for tally in tallies
    ]


class _Tracker:
    """One network on one run: carries the crop from frame to frame."""

    def __init__(self, network: Network, tally: _Tally) -> None:
        self._network = network
        self._tally = tally
        self._next: Box | None = None  # None: detect

    def step(self, image: Image, points: Points) -> None:
        """See one frame in both modes and count it."""
        annotated = box_around(points)
        landmarks, confidence = self._see(image, annotated)
        self._tally.detected.append(_errors(landmarks, points))
        if self._next is None:
            self._tally.detection_frames += 1  # the same crop: what was seen holds for both
        else:
            self._tally.tracking_frames += 1
            landmarks, confidence = self._see(image, self._next)
        self._tally.tracked.append(_errors(landmarks, points))
        self._next = _crop_after(landmarks, confidence, image)
        if self._next is None:
            self._tally.failure_frames += 1

    def _see(self, image: Image, box: Box) -> tuple[Points, float]:
        """Landmarks (P, 2) in pixels of the image, and the confidence."""
        outputs = self._network.predict(cut(image, box)[None])
        return box.to_image(outputs[LANDMARKS.name][0]), float(outputs[CONFIDENCE.name][0, 0])


def _crop_after(landmarks: Points, confidence: float, image: Image) -> Box | None:
    """Where to look in the next frame; None where the face is lost.

    That is also where the tracker would find no square to cut: landmarks that are not finite, a
    dot, far larger than the image or outside it.
    """
    if not (confidence > CONFIDENCE_THRESHOLD and np.isfinite(landmarks).all()):
        return None
    box = box_around(landmarks)
    return box if usable(box, image) else None


def _errors(landmarks: Points, points: Points) -> tuple[float, float]:
    by_ocular, by_pupil = errors_of(landmarks[None], points[None])
    return float(by_ocular[0]), float(by_pupil[0])
