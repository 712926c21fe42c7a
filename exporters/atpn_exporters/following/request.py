"""What is asked of one tracking run, and what is said of it afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from atpn_deploy.tracking.tracker import TrackerOptions


@dataclass(frozen=True)
class TrackRequest:
    """One input, one file, and where the results go. Plain values: it may cross processes."""

    #: A video file, a folder of frames or `camera:0`.
    input: str
    model: Path
    #: Who proposes faces; `boxes`, a file of given squares, stands in for it.
    detector: str = "haar"
    boxes: Path | None = None
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    #: Look at every n-th frame.
    every: int = 1
    #: Frames a second of a folder, which has no times of its own; None for the source's choice.
    fps: float | None = None
    #: Stop after so many seconds of the input; None for its end.
    max_seconds: float | None = None
    runtime: str = "auto"
    threads: int = 1
    #: Files of records by suffix, `-` for JSON Lines on standard output.
    records: tuple[Path, ...] = ()
    #: An annotated video by its suffix, or a folder of PNGs; None draws nothing.
    output: Path | None = None
    #: Draw and encode in a thread of its own. On an annotated video that saves a third of the time
    #: where a core is idle, and nothing where other processes keep them busy.
    draw_beside: bool = False
    #: Overwrite what is there.
    force: bool = False

    @property
    def input_text(self) -> str:
        """`input` as records tell it: a file's name may hold bytes that are no text."""
        return os.fsencode(self.input).decode(errors="replace")

    @property
    def options(self) -> dict[str, Any]:
        """What the records say of how they came about, as plain values."""
        return {
            "detector": self.detector if self.boxes is None else f"boxes {self.boxes.name}",
            "every": self.every,
            "threads": self.threads,
            **asdict(self.tracker),
        }


@dataclass(frozen=True)
class TrackSummary:
    """What came of a run; JSON-able by `as_dict`."""

    input: str
    model: str  # file name
    model_sha256: str
    runtime: str
    frames: int  # that were looked at
    frames_with_face: int  # in which at least one face was tracked
    born: int
    lost: int
    recovered: int
    died: int
    most_faces: int  # tracked in one frame
    detector_runs: int
    stage_seconds: Mapping[str, float]  # of the loop, by stage; waiting for a thread is "write"
    beside_seconds: Mapping[str, float]  # of the thread that draws, by stage; empty without one
    wall_s: float  # from the first frame's decoding until everything was written
    damaged: int  # frames that the input lost or patched
    problem: str  # why the input ended early; empty if it did not
    interrupted: bool
    outputs: tuple[str, ...]  # what was written

    @property
    def fps(self) -> float:
        """Frames a second of the whole run."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, `fps` and `stage_ms_per_frame` (of the loop) included."""
        frames = max(1, self.frames)
        return {
            **asdict(self),
            "stage_seconds": {k: round(v, 6) for k, v in self.stage_seconds.items()},
            "beside_seconds": {k: round(v, 6) for k, v in self.beside_seconds.items()},
            "wall_s": round(self.wall_s, 6),
            "fps": round(self.fps, 3),
            "stage_ms_per_frame": {
                stage: round(1e3 * seconds / frames, 4)
                for stage, seconds in self.stage_seconds.items()
            },
        }
