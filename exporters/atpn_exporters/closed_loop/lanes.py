"""One video through several networks in lockstep: each follows its own landmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE, OUTPUTS, Tensors
from atpn_deploy.crop import Box
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.faces import Session
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions
from atpn_deploy.video.source import Frame

#: What a filter hides is the network's, so it is compared unfiltered; crops never are filtered.
OPTIONS = TrackerOptions(smoothing="off")

Predict = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class TorchSession:
    """A checkpoint in PyTorch, float32, as a session: the reference of a closed loop."""

    predict: Predict  # of `atpn_deploy.weights.predictor`
    output_names: tuple[str, ...] = tuple(spec.name for spec in OUTPUTS)

    def run(self, feeds: Tensors) -> Mapping[str, NDArray[Any]]:
        """{"image": (1, 112, 112, 3)} uint8 to the outputs by name."""
        return self.predict(feeds[IMAGE.name])


class OneLook:
    """A detector that looks at a frame once, however many trackers ask.

    So every network gets the same proposals, and only networks differ.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._image: NDArray[np.uint8] | None = None
        self._boxes: list[Box] = []

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """The proposals for this very array, from memory if it was the last one asked for."""
        if image is not self._image:
            self._image, self._boxes = image, self._detector.propose(image)
        return list(self._boxes)


def in_lockstep(
    frames: Iterable[Frame],
    sessions: Sequence[Session],
    detector: Detector,
    options: TrackerOptions = OPTIONS,
) -> Iterator[tuple[Frame, tuple[FrameFaces, ...]]]:
    """Each frame with what every session's tracker says of it, in the order of the sessions.

    Raises ArtifactError for a session that does not compute all three tasks.
    """
    shared = OneLook(detector)
    trackers = [Tracker(session, shared, options) for session in sessions]
    for frame in frames:
        yield frame, tuple(tracker.step(frame.image, frame.time_s) for tracker in trackers)
