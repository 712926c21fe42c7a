"""The life of one face: born of a detection, tracked, lost, recovered or dead."""

from __future__ import annotations

import math
from dataclasses import dataclass

from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.crop import Box
from atpn_deploy.faces import Face
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.tracking.frame_faces import Event, State, TrackedFace
from atpn_deploy.tracking.smoothing import LONGEST_GAP_S, FaceFilter


@dataclass(frozen=True)
class Lifecycle:
    """What moves a face from one state to the next."""

    #: A tracked face stays so while its confidence is above this (paper, section 3).
    keep: float = CONFIDENCE_THRESHOLD
    #: A face is born, and a lost one recovered, above this: with one threshold for both a face
    #: at 0.7 would be lost and found in turn.
    birth: float = 0.8
    #: A lost face dies when it has not been recovered for so many frames.
    lost_frames: int = 10
    #: Only a face that was once followed for so many frames without a detection is held when it is
    #: lost; any other dies in the same frame, unless the detector finds it again in that very
    #: frame. False alarms seldom last as long, and each would live on for `lost_frames`.
    proven_frames: int = 15
    #: A face is born only where its square has at least this many pixels: of a smaller one the 98
    #: points say nothing. One that walks away is followed below that.
    smallest_side: float = 40.0


#: A face that moved by less than this share of its side in a frame's time is looked for where it
#: was: what its square moves by then is mostly the network's own noise.
STILL = 0.05
#: The square is moved on by no more than this share of its side.
FURTHEST_AHEAD = 0.5


class Track:
    """One living face."""

    def __init__(
        self, id: int, face: Face, time_s: float, smoothing: FaceFilter, times: StageTimes
    ) -> None:
        self.id = id
        self.frames = 1
        self.lost_for = 0  # frames since it was last tracked
        self._in_a_row = 0  # frames it was followed since a detector last had to find it
        self._longest_row = 0
        self._last_tracked = face
        self._tracked_s = time_s
        self._filter = smoothing
        self._times = times
        self._place(face, time_s)

    @property
    def is_lost(self) -> bool:
        """Whether it was not seen with enough confidence in the last frame."""
        return self.lost_for > 0

    @property
    def longest_row(self) -> int:
        """The most frames that it was ever followed without the detector's help."""
        return self._longest_row

    @property
    def box(self) -> Box:
        """The square round the landmarks when it was last tracked."""
        return self._last_tracked.box

    def box_at(self, time_s: float) -> Box:
        """Where to look in a frame shown at `time_s`: that square, moved on as the face moved.

        The paper looks where the face was. A face that moves by a tenth of the square from frame
        to frame is then lost in 7 % of the frames, one that moves by a fifth in 60 %; moved on, in
        0.6 % and 7 % (docs/tracking.md). After a gap, and where the time does not go on, it is
        looked for where it was.
        """
        box, ahead_s = self.box, time_s - self._tracked_s
        right, down = (speed * ahead_s for speed in self._velocity)
        distance = math.hypot(right, down) / box.side
        goes_on = 0 < ahead_s <= LONGEST_GAP_S
        if self.is_lost or not (goes_on and distance > STILL):
            return box
        share = min(1.0, FURTHEST_AHEAD / distance)
        return Box(box.left + right * share, box.top + down * share, box.side)

    def follow(self, face: Face, time_s: float) -> None:
        """It was found from its own landmarks, with enough confidence."""
        self._in_a_row += 1
        self._longest_row = max(self._longest_row, self._in_a_row)
        self._place(face, time_s)

    def found(self, face: Face, time_s: float) -> None:
        """It was lost, and the detector has found it."""
        self._in_a_row = 0
        self._place(face, time_s)

    def _place(self, face: Face, time_s: float) -> None:
        if self.is_lost:
            self._filter.reset()  # from where it was to where it is now is no motion of the face
        self._velocity = _velocity(self.box, face.box, time_s - self._tracked_s)
        self._tracked_s = time_s
        self.lost_for = 0
        self._seen = self._last_tracked = face
        began = self._times.clock()
        self._smooth = self._filter.step(face, time_s)
        self._times.add("filter", began)

    def lose(self, face: Face) -> None:
        """It was not; `face` is what was seen instead."""
        self.lost_for += 1
        self._seen = face

    def described(self) -> TrackedFace:
        """As this frame leaves it."""
        state: State = "lost" if self.is_lost else "tracked"
        return TrackedFace(self.id, state, self._smooth, self._seen, self.frames)

    def birth(self) -> Event:
        """Its first event."""
        return Event("birth", self.id, f"confidence {self._seen.confidence:.2f}")


def _velocity(before: Box, now: Box, passed_s: float) -> tuple[float, float]:
    """How fast the centre of a square has moved, (x, y) in pixels a second; 0 without time."""
    if not passed_s > 0:
        return 0.0, 0.0
    grown = (now.side - before.side) / 2
    return (now.left + grown - before.left) / passed_s, (now.top + grown - before.top) / passed_s
