"""What an evaluation found, per task: figures for the tables, curves for the plots."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AlignmentFigures:
    """One subset's row of tables 1 and 7."""

    faces: int
    nme_percent: float  # inter-ocular distance
    nme_pupil_percent: float  # inter-pupil distance
    failure_percent: float  # faces whose inter-ocular NME is above 0.1
    auc: float  # of the CED from 0 to 0.1, divided by 0.1


@dataclass(frozen=True)
class AlignmentResult:
    """Subsets by name: `testset`, then the attributes that the faces are labelled with."""

    dataset: str
    subsets: dict[str, AlignmentFigures]
    errors: NDArray[np.float64]  # (N,) inter-ocular NME of each face, as a fraction


@dataclass(frozen=True)
class PoseFigures:
    """One subset's row of tables 6 and 8, degrees."""

    faces: int
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    mae_deg: float
    failure_percent: float  # faces whose mean error of the three angles is above 10 degrees


@dataclass(frozen=True)
class PoseResult:
    """Subsets by name: `full`, `common`, `challenging`."""

    dataset: str
    subsets: dict[str, PoseFigures]
    errors_deg: NDArray[np.float64]  # (N, 3) absolute error of (yaw, pitch, roll)


@dataclass(frozen=True)
class TrackingResult:
    """Face or no face: table 9 and figure 6."""

    dataset: str
    faces: int
    negatives: int
    average_precision: float  # 0..1
    precision: NDArray[np.float64]  # (K,) one a threshold, recall ascending
    recall: NDArray[np.float64]  # (K,)


@dataclass(frozen=True)
class VideoFigures:
    """One category of 300VW: tables 3 and 4."""

    sequences: int  # runs of labelled frames
    detection_frames: int  # frames whose crop came from the annotation, in tracking mode
    tracking_frames: int  # frames whose crop came from the frame before
    failure_frames: int  # confidence at or below the threshold, so that the next frame detects
    nme_detection_percent: float  # inter-ocular, every crop from the annotation
    nme_tracking_percent: float  # inter-ocular, crop from the frame before where tracked
    nme_pupil_detection_percent: float
    nme_pupil_tracking_percent: float

    @property
    def failure_percent(self) -> float:
        """Failure frames of all frames that were tracked or detected."""
        frames = self.detection_frames + self.tracking_frames
        return 100 * self.failure_frames / frames if frames else float("nan")


@dataclass(frozen=True)
class VideoResult:
    """Categories by name: `A`, `B`, `C`."""

    dataset: str
    categories: dict[str, VideoFigures]


@dataclass(frozen=True)
class Evaluation:
    """All that was measured of one network or file; None where its data was not at hand."""

    model: str  # what was measured: a checkpoint's or a file's name
    runtime: str  # what ran it: `torch 2.13.0`, `LiteRT 2.3.0`, ...
    sha256: str
    alignment: tuple[AlignmentResult, ...] = field(default=())
    pose: tuple[PoseResult, ...] = field(default=())
    tracking: tuple[TrackingResult, ...] = field(default=())
    video: tuple[VideoResult, ...] = field(default=())
