"""The loop: look where each face was, keep it while it is one, detect only where that fails."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import cut
from atpn_deploy.faces import (
    SAME_FACE,
    Cut,
    Face,
    Session,
    judge,
    look,
    overlap,
    require_all_tasks,
    usable,
)
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.tracking.association import apart, matches
from atpn_deploy.tracking.frame_faces import Event, EventKind, FrameFaces
from atpn_deploy.tracking.redetection import Redetection
from atpn_deploy.tracking.scene_cuts import SceneCuts
from atpn_deploy.tracking.smoothing import FaceFilter
from atpn_deploy.tracking.track import Lifecycle, Track

if TYPE_CHECKING:
    from atpn_deploy.detectors.detector import Detector

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class TrackerOptions:
    """How faces are followed; the defaults are measured in docs/tracking.md."""

    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    #: Follow at most so many faces, the largest; None for all that are found.
    max_faces: int | None = None
    #: While no face is lost, search for new ones every so many frames; 0 for never.
    rescan_frames: int = 30
    #: Where nothing is found the wait doubles from 1 frame up to this.
    longest_wait_frames: int = 8
    #: A frame that is less like the one before than this begins another scene: whoever is where a
    #: face was is another person. -1 for never, as for a camera.
    cut_correlation: float = 0.4
    #: `off`, `light` or `strong`.
    smoothing: str = "light"


class Tracker:
    """Follows the faces of one video on any session that computes all three tasks.

    Ids count from 1 in the order of birth and are never given twice. Raises ArtifactError for a
    session that does not compute landmarks, pose and confidence.
    """

    def __init__(
        self,
        session: Session,
        detector: Detector,
        options: TrackerOptions | None = None,
        times: StageTimes | None = None,
        cut: Cut = cut,
    ) -> None:
        require_all_tasks(session)
        self._session = session
        self._detector = detector
        self._cut = cut
        self._options = options or TrackerOptions()
        self._times = times or StageTimes()
        self._redetection = Redetection(
            self._options.rescan_frames, self._options.longest_wait_frames
        )
        self._cuts = SceneCuts(self._options.cut_correlation)
        self._tracks: list[Track] = []
        self._born = 0
        self._frame_shape: tuple[int, ...] = ()
        self._events: list[Event] = []

    @property
    def times(self) -> StageTimes:
        """What the stages detect, crop, infer, track and filter have taken."""
        return self._times

    def step(self, image: Image, time_s: float) -> FrameFaces:
        """Take the next frame, (H, W, 3) RGB, shown at `time_s` seconds.

        Where the scene is cut, or the size of the frames changes and pixels lose their meaning,
        every face dies and the frame is searched anew.
        """
        began, counted = self._times.clock(), self._times.total
        self._events = []
        if image.shape != self._frame_shape:
            self._begin_anew("the frame size changed")
            self._frame_shape = image.shape
        if self._cuts.is_cut(image):
            self._begin_anew("the scene was cut")
        self._follow(image, time_s)
        detected = self._redetection.due(searching=self._searching, room=self._room > 0)
        if detected:
            self._redetection.ran(found=self._detect(image, time_s))
        self._bury()
        faces = tuple(track.described() for track in self._tracks)
        rest = self._times.clock() - began - (self._times.total - counted)
        self._times.count("track", rest)
        return FrameFaces(time_s, faces, tuple(self._events), detected)

    def _begin_anew(self, reason: str) -> None:
        for track in list(self._tracks):
            self._end(track, reason)
        self._redetection.hurry()

    @property
    def _searching(self) -> bool:
        return not self._tracks or any(track.is_lost for track in self._tracks)

    @property
    def _room(self) -> float:
        """How many more faces may be tracked; infinite without a limit."""
        tracked = sum(not track.is_lost for track in self._tracks)
        limit = self._options.max_faces
        return math.inf if limit is None else limit - tracked

    def _follow(self, image: Image, time_s: float) -> None:
        """Look at every living face, then let each face that was seen go to one of them."""
        seen: list[tuple[Track, Face, float]] = []  # and how far it is from where it was expected
        for track in self._tracks:
            track.frames += 1
            box = track.box_at(time_s)
            face = look(image, box, self._session, self._times, self._cut)
            if reason := self._why_lost(track, face, image):
                self._miss(track, face, reason)
            else:
                seen.append((track, face, apart(box, face.box)))
        # A face that two see goes to one that was tracked before one that was lost, and then to
        # where it was expected: the other has jumped over from a face that is hidden now.
        seen.sort(key=lambda claim: (claim[0].is_lost, claim[2]))
        taken: list[Face] = []
        for track, face, _ in seen:
            if any(overlap(face.box, other.box) > SAME_FACE for other in taken):
                self._miss(track, face, "the same face as another")
                continue
            taken.append(face)
            if track.is_lost:
                self._tell("recovered", track, f"confidence {face.confidence:.2f}")
            track.follow(face, time_s)

    def _why_lost(self, track: Track, face: Face, image: Image) -> str:
        """Why `face` is not the track's, one phrase; empty where it is."""
        lifecycle = self._options.lifecycle
        threshold = lifecycle.birth if track.is_lost else lifecycle.keep
        if not face.confidence > threshold:
            return f"confidence {face.confidence:.2f}"
        if not usable(face.box, image):
            return "left the frame"
        return ""

    def _miss(self, track: Track, face: Face, reason: str) -> None:
        if not track.is_lost:
            self._tell("lost", track, reason)
            self._redetection.hurry()
        track.lose(face)

    def _bury(self) -> None:
        """End the faces that were lost for too long, or before they had proven to be one."""
        lifecycle = self._options.lifecycle
        for track in [track for track in self._tracks if track.is_lost]:
            if track.longest_row < lifecycle.proven_frames:
                self._end(track, f"lost after {track.longest_row} frames at most")
            elif track.lost_for > lifecycle.lost_frames:
                self._end(track, f"lost for {track.lost_for} frames")

    def _detect(self, image: Image, time_s: float) -> bool:
        """Run the detector; whether a face was born or recovered."""
        began = self._times.clock()
        proposed = self._detector.propose(image)
        self._times.add("detect", began)
        known = [track.box for track in self._tracks if not track.is_lost]
        unknown = [
            box
            for box in proposed
            if usable(box, image) and all(overlap(box, k) <= SAME_FACE for k in known)
        ]
        faces = judge(
            image,
            unknown,
            self._session,
            threshold=self._options.lifecycle.birth,
            times=self._times,
            cut=self._cut,
        )
        new = [f for f in faces if all(overlap(f.box, k) <= SAME_FACE for k in known)]
        lost = [track for track in self._tracks if track.is_lost]
        pairs = matches([track.box for track in lost], [face.box for face in new])
        for i, j in pairs:
            self._tell("recovered", lost[i], f"detected, confidence {new[j].confidence:.2f}")
            lost[i].found(new[j], time_s)
        matched = {j for _, j in pairs}
        smallest = self._options.lifecycle.smallest_side
        born = self._born
        for j, face in enumerate(new):
            if j not in matched and face.box.side >= smallest and self._room > 0:
                self._bear(face, time_s)
        return bool(pairs) or self._born > born

    def _bear(self, face: Face, time_s: float) -> None:
        self._born += 1
        track = Track(self._born, face, time_s, FaceFilter(self._options.smoothing), self._times)
        if len(self._tracks) == self._options.max_faces:
            # There was room among the tracked ones, so one at least is lost.
            oldest = max(self._tracks, key=lambda other: other.lost_for)
            self._end(oldest, f"gave way to face {track.id}")
        self._tracks.append(track)
        self._events.append(track.birth())

    def _end(self, track: Track, reason: str) -> None:
        self._tracks.remove(track)
        self._tell("death", track, reason)

    def _tell(self, kind: EventKind, track: Track, reason: str) -> None:
        self._events.append(Event(kind, track.id, reason))
