"""Which face of one tracker is which of another's, and the tracks that only one of them keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from atpn_deploy.crop import Box
from atpn_deploy.faces import SAME_FACE, overlap
from atpn_deploy.tracking.association import LARGEST_RATIO, matches
from atpn_deploy.tracking.frame_faces import FrameFaces, TrackedFace
from atpn_deploy.tracking.track import Lifecycle

#: Two networks may see the same face go in different frames: a loss that the reference follows
#: within so many frames is the same event. As many as a lost face is held (`Lifecycle`).
SAME_EVENT_FRAMES = 10

#: A track that the reference follows for fewer frames is none that it keeps: a false alarm, or a
#: face that it loses and finds by itself.
PROVEN_FRAMES = Lifecycle().proven_frames

Outcome = Literal["regained", "the reference lost it too", "the video ended"]


@dataclass(frozen=True)
class Gap:
    """Frames in which the reference tracks a face and the file does not."""

    frame: int  # the first of them
    time_s: float
    reference_id: int
    file_id: int | None  # the track that the file had of it; None where it had none yet
    reason: str  # what the file's tracker said of that track, "" where it said nothing
    reference_confidence: float  # in the first of them
    #: Whether the file follows a larger face there, of which the reference's is a part: an eye can
    #: pass for a face, and whoever sees the whole one is right.
    larger: bool
    frames: int
    outcome: Outcome
    kept: bool = False  # whether the reference tracks the face for PROVEN_FRAMES in all

    @property
    def lost(self) -> bool:
        """Whether the file lost a track that the reference keeps."""
        together = self.outcome == "the reference lost it too" and self.frames <= SAME_EVENT_FRAMES
        return self.file_id is not None and self.kept and not together and not self.larger

    @property
    def late(self) -> bool:
        """Whether the file has not found the face yet."""
        return self.file_id is None and not self.larger

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"frame {self.frame} ({self.time_s:.2f} s): face {self.reference_id} of the reference, "
            f"confidence {self.reference_confidence:.2f} there, is lost{why} for {self.frames} "
            f"frames; {self.outcome}"
        )


@dataclass(frozen=True)
class Switch:
    """The same face of the reference under another id of the file."""

    frame: int
    time_s: float
    reference_id: int
    before: int
    after: int


@dataclass(frozen=True)
class Pair:
    """A face that both track in a frame."""

    reference: TrackedFace
    file: TrackedFace

    @property
    def ids(self) -> tuple[int, int]:
        """Of the reference's and of the file's track."""
        return self.reference.id, self.file.id


def paired(reference: FrameFaces, file: FrameFaces) -> list[Pair]:
    """The faces that both track, by the reference's ids; told apart as the tracker itself does."""
    ones, others = reference.tracked, file.tracked
    found = matches([one.seen.box for one in ones], [other.seen.box for other in others])
    return [Pair(ones[i], others[j]) for i, j in sorted(found)]


def _is_part(one: Box, other: Box) -> bool:
    """Whether `one` lies within a face that is larger by more than the tracker takes for one."""
    return other.side > LARGEST_RATIO * one.side and overlap(one, other) > SAME_FACE


class Pairing:
    """Pairs the faces of two trackers frame by frame and remembers what fell apart."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []  # closed ones
        self.switches: list[Switch] = []
        self.reference_frames = 0  # frames times faces that the reference tracks
        self.paired_frames = 0  # of these, those that the file tracks too
        self.extra_frames = 0  # frames times faces that only the file tracks
        self._tracked: dict[int, int] = {}  # frames by the reference's id
        self._partners: dict[int, int] = {}  # the file's id by the reference's
        self._open: dict[int, Gap] = {}  # by the reference's id
        self._reasons: dict[int, str] = {}  # by the file's id, the last that was said

    def step(
        self, index: int, time_s: float, reference: FrameFaces, file: FrameFaces
    ) -> list[Pair]:
        """The pairs of a frame, by the reference's ids."""
        for event in file.events:
            self._reasons[event.id] = f"{event.kind}: {event.reason}"
        pairs = paired(reference, file)
        self.reference_frames += len(reference.tracked)
        for face in reference.tracked:
            self._tracked[face.id] = self._tracked.get(face.id, 0) + 1
        self.paired_frames += len(pairs)
        self.extra_frames += len(file.tracked) - len(pairs)
        alone = {face.id: face for face in reference.tracked}
        for pair in pairs:
            del alone[pair.reference.id]
            self._close(pair.reference.id, "regained")
            self._meet(index, time_s, pair)
        for face in alone.values():
            self._widen(index, time_s, face, file)
        for gone in set(self._open) - set(alone):
            self._close(gone, "the reference lost it too")
        return pairs

    def finish(self) -> None:
        """The video has ended; only now is it known which tracks the reference keeps."""
        for reference_id in sorted(self._open):
            self._close(reference_id, "the video ended")
        kept = {id for id, frames in self._tracked.items() if frames >= PROVEN_FRAMES}
        self.switches = [switch for switch in self.switches if switch.reference_id in kept]
        self.gaps = [replace(gap, kept=gap.reference_id in kept) for gap in self.gaps]
        self.gaps.sort(key=lambda gap: (gap.frame, gap.reference_id))

    def _meet(self, index: int, time_s: float, pair: Pair) -> None:
        one, other = pair.ids
        before = self._partners.get(one)
        if before not in (None, other):
            self.switches.append(Switch(index, time_s, one, int(before or 0), other))
        self._partners[one] = other

    def _widen(self, index: int, time_s: float, face: TrackedFace, file: FrameFaces) -> None:
        gap = self._open.get(face.id)
        if gap is None:
            partner = self._partners.get(face.id)
            reason = "" if partner is None else self._reasons.get(partner, "")
            whole = any(_is_part(face.seen.box, other.seen.box) for other in file.tracked)
            confidence = face.seen.confidence
            self._open[face.id] = Gap(
                index, time_s, face.id, partner, reason, confidence, whole, 1, "regained"
            )
        else:
            self._open[face.id] = replace(gap, frames=gap.frames + 1)

    def _close(self, reference_id: int, outcome: Outcome) -> None:
        if gap := self._open.pop(reference_id, None):
            self.gaps.append(replace(gap, outcome=outcome))
