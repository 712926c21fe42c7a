"""What a tracker says of one frame: its faces, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atpn_deploy.faces import Face

#: `tracked`: seen in this frame with enough confidence. `lost`: held at its last place for a while.
State = Literal["tracked", "lost"]

#: `birth`: a detection became a face. `lost`: its confidence fell. `recovered`: seen again under
#: the same id. `death`: gone for good; its id is never given again.
EventKind = Literal["birth", "lost", "recovered", "death"]


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame, in pixels of the frame (edge based, as `Box`)."""

    id: int  # from 1 on, in the order of birth, never given twice
    state: State
    face: Face  # after the filter; of a lost face, as it was when it was last tracked
    seen: Face  # as the network saw it in this frame; of a tracked face, where the next look begins
    frames: int  # how many frames it has lived, this one included


@dataclass(frozen=True)
class Event:
    """A change in the life of a face."""

    kind: EventKind
    id: int
    reason: str  # one phrase for a reader: "confidence 0.41", "merged with face 2"


@dataclass(frozen=True)
class FrameFaces:
    """All living faces of one frame, by id, and the frame's events in the order they happened."""

    time_s: float
    faces: tuple[TrackedFace, ...]
    events: tuple[Event, ...]
    detected: bool  # whether the detector ran in this frame

    @property
    def tracked(self) -> tuple[TrackedFace, ...]:
        """The faces that were seen in this frame."""
        return tuple(face for face in self.faces if face.state == "tracked")
