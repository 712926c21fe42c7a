"""One video from request to summary: read, track, draw and write, frame by frame."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from atpn_deploy.detectors.detector import Detector
from atpn_deploy.detectors.given import GivenBoxes, read_boxes
from atpn_deploy.detectors.registry import open_detector
from atpn_deploy.errors import ArtifactError, VideoError
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.tracker import Tracker
from atpn_deploy.video.opening import open_source
from atpn_deploy.video.source import Frame, Source
from atpn_exporters.artifact_files import sha256_of
from atpn_exporters.following.outputs import Outputs, check_outputs
from atpn_exporters.following.request import TrackRequest, TrackSummary
from atpn_exporters.opening import open_file
from atpn_exporters.session import Session, SessionOptions


@dataclass(frozen=True)
class FrameDone:
    """What is told after each frame."""

    frame: Frame
    faces: FrameFaces
    frames_expected: int | None  # in the whole input, passed over or not; None for a camera


def _ignore(done: FrameDone) -> None:
    """Nobody watches."""


def _never() -> bool:
    return False


def run(
    request: TrackRequest,
    *,
    on_frame: Callable[[FrameDone], None] = _ignore,
    stopped: Callable[[], bool] = _never,
) -> TrackSummary:
    """Track the faces of one input and write what was asked for.

    Nothing is written before the model, the detector and the input are open and the first frame
    has come. `stopped` is asked after each frame: once it is true the run ends as if the input
    had. However it ends, by an error too, the outputs are finished and hold what was done up to
    there. One frame is in memory at a time, and a few more that wait to be drawn.

    Raises ConfigError for outputs that can't be, ArtifactError for a file that computes not all
    three tasks, VideoError for an input without frames, DetectorError, MissingToolError for a
    library that is not installed, and AtpnError where writing fails. An input that ends early is
    no error: the summary's `problem` tells.
    """
    check_outputs(request)
    with ExitStack() as stack:
        options = SessionOptions(threads=request.threads, runtime=request.runtime)
        session = stack.enter_context(open_file(request.model, options))
        detector = _open_detector(request)
        source = stack.enter_context(
            open_source(request.input, every=request.every, fps=request.fps)
        )
        return follow(request, session, detector, source, on_frame=on_frame, stopped=stopped)


def follow(
    request: TrackRequest,
    session: Session,
    detector: Detector,
    source: Source,
    *,
    on_frame: Callable[[FrameDone], None] = _ignore,
    stopped: Callable[[], bool] = _never,
) -> TrackSummary:
    """`run` on what is open already; of the request, what to open is only told, not opened."""
    times = StageTimes()
    try:
        tracker = Tracker(session, detector, request.tracker, times)
    except ArtifactError as error:
        raise ArtifactError(f"{request.model}: {error}") from error
    sha256 = sha256_of(request.model)
    tally = _Tally()
    began = time.perf_counter()
    with Outputs(request, times) as outputs:
        for frame in _frames(source, request.max_seconds, times):
            if not outputs.begun:
                outputs.begin(_facts(request, session.runtime, sha256, frame), source.fps)
            if isinstance(detector, GivenBoxes):
                detector.frame = frame.index
            faces = tracker.step(frame.image, frame.time_s)
            tally.count(faces)
            outputs.write(frame, faces)
            on_frame(FrameDone(frame, faces, source.frames_expected))
            if stopped():
                tally.interrupted = True
                break
    if not (tally.frames or tally.interrupted):
        raise VideoError(source.problem or f"{source.name} gave no frame that can be read")
    return TrackSummary(
        input=request.input_text,
        model=request.model.name,
        model_sha256=sha256,
        runtime=session.runtime,
        frames=tally.frames,
        frames_with_face=tally.with_face,
        born=tally.events["birth"],
        lost=tally.events["lost"],
        recovered=tally.events["recovered"],
        died=tally.events["death"],
        most_faces=tally.most_faces,
        detector_runs=tally.detector_runs,
        stage_seconds=times.entered,
        beside_seconds=outputs.beside.entered,
        wall_s=time.perf_counter() - began,
        damaged=source.damaged,
        problem=source.problem,
        interrupted=tally.interrupted,
        outputs=tuple(outputs.written),
    )


class _Tally:
    """Counts while the frames go by."""

    def __init__(self) -> None:
        self.frames = self.with_face = self.most_faces = self.detector_runs = 0
        self.interrupted = False
        self.events: Counter[str] = Counter()

    def count(self, faces: FrameFaces) -> None:
        tracked = len(faces.tracked)
        self.frames += 1
        self.with_face += tracked > 0
        self.most_faces = max(self.most_faces, tracked)
        self.detector_runs += faces.detected
        self.events.update(event.kind for event in faces.events)


def _frames(source: Source, max_seconds: float | None, times: StageTimes) -> Iterator[Frame]:
    """The frames before `max_seconds`; waiting for each counts as decoding."""
    frames = iter(source)
    while True:
        with times.measured("decode"):
            frame = next(frames, None)
        if frame is None or (max_seconds is not None and frame.time_s >= max_seconds):
            return
        yield frame


def _open_detector(request: TrackRequest) -> Detector:
    if request.boxes is not None:
        return read_boxes(request.boxes)
    return open_detector(request.detector, video=True, threads=request.threads)


def _facts(request: TrackRequest, runtime: str, sha256: str, first: Frame) -> RunFacts:
    height, width = first.image.shape[:2]
    return RunFacts(
        input=request.input_text,
        width=width,
        height=height,
        model=request.model.name,
        model_sha256=sha256,
        runtime=runtime,
        options=request.options,
    )
