"""How well a video's faces were followed, from what the tracker said of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atpn_deploy.tracking.frame_faces import FrameFaces


@dataclass(frozen=True)
class Life:
    """One track from its birth on."""

    id: int
    born: int  # frame
    alive_frames: int  # from birth to death, lost ones included
    tracked_frames: int  # of these, those in which it was seen
    lowest_confidence: float  # of the frames in which it was seen


@dataclass(frozen=True)
class Following:
    """One video through one network."""

    frames: int
    face_frames: int  # frames times faces that were alive; births are not counted
    kept_frames: int  # of these, those kept from the crop round their own landmarks
    detector_runs: int
    lives: tuple[Life, ...]
    #: For each cut that was named, the frames from it to the first in which a face is tracked.
    recovered_frames: tuple[int | None, ...]

    @property
    def kept_percent(self) -> float:
        """Share of faces and frames that needed no detector; NaN without a face."""
        return 100 * self.kept_frames / self.face_frames if self.face_frames else float("nan")

    @property
    def longest_life_frames(self) -> int:
        """Of all tracks, lost frames included."""
        return max((life.alive_frames for life in self.lives), default=0)


def following(said: Iterable[FrameFaces], cuts: Sequence[int] = ()) -> Following:
    """Figures of a whole video; `cuts` are frames that begin a new scene, counted from 0."""
    lives: dict[int, Life] = {}
    tracked_in: list[int] = []
    frames = face_frames = kept_frames = runs = 0
    for index, frame in enumerate(said):
        frames += 1
        runs += frame.detected
        changed = {event.id for event in frame.events}
        if frame.tracked:
            tracked_in.append(index)
        for face in frame.faces:
            seen = face.state == "tracked"
            before = lives.get(face.id)
            if before is None:
                lives[face.id] = Life(face.id, index, 1, 1, face.seen.confidence)
                continue
            face_frames += 1
            kept_frames += seen and face.id not in changed
            lowest = min(before.lowest_confidence, face.seen.confidence)
            lives[face.id] = Life(
                face.id,
                before.born,
                before.alive_frames + 1,
                before.tracked_frames + seen,
                lowest if seen else before.lowest_confidence,
            )
    recovered = tuple(
        next((index - cut for index in tracked_in if index >= cut), None) for cut in cuts
    )
    return Following(frames, face_frames, kept_frames, runs, tuple(lives.values()), recovered)
