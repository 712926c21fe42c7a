"""300VW: a folder a video, with vid.avi and a .pts file of 68 points for each labelled frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import Image
from atpn_deploy.datasets.labels import require_folder
from atpn_deploy.datasets.pts import read_pts
from atpn_deploy.errors import DatasetError

#: The test set's categories as its paper divides it (Shen et al., 2015): well lit, unconstrained,
#: and in the wild with occlusion and extreme poses. All other videos, fifty, are to train on.
CATEGORIES = {
    "A": (
        *("114", "124", "125", "126", "150", "158", "401", "402", "505", "506", "507", "508"),
        *("509", "510", "511", "514", "515", "518", "519", "520", "521", "522", "524", "525"),
        *("537", "538", "540", "541", "546", "547", "548"),
    ),
    "B": (
        *("203", "208", "211", "212", "213", "214", "218", "224", "403", "404", "405", "406"),
        *("407", "408", "409", "412", "550", "551", "553"),
    ),
    "C": (
        *("410", "411", "516", "517", "526", "528", "529", "530", "531", "533", "557", "558"),
        *("559", "562"),
    ),
}

SPLITS = ("train", *CATEGORIES)

VIDEO = "vid.avi"


@dataclass(frozen=True)
class VideoSequence:
    """A run of labelled frames of one video, without a gap."""

    name: str  # the video's folder
    category: str  # `train`, `A`, `B` or `C`
    video: Path
    first: int  # its first frame, counted from 0 in the video
    points: NDArray[np.float32]  # (F, 68, 2) pixels, edge based, NaN where a point is not known

    def __len__(self) -> int:
        return len(self.points)

    def frames(self) -> Iterator[Image]:
        """The F frames in order, (H, W, 3) RGB, one in memory at a time.

        Raises DatasetError where the video can't be opened or ends before the labels do.
        """
        import cv2

        capture = cv2.VideoCapture(str(self.video))
        try:
            if not capture.isOpened():
                raise DatasetError(f"{self.video} is no video that can be read; copy it again")
            # Seeking by number is not exact in every codec; stepping over frames is.
            for _ in range(self.first):
                capture.grab()
            for index in range(self.first, self.first + len(self)):
                came, frame = capture.read()
                if not came:
                    raise DatasetError(
                        f"{self.video} ends before frame {index + 1}, which is labelled in "
                        f"{annotation_of(self.video.parent, index)}"
                    )
                yield np.ascontiguousarray(frame[..., ::-1], np.uint8)
        finally:
            capture.release()


def annotation_of(folder: Path, frame: int) -> Path:
    """The .pts file of a frame counted from 0; the files count from 1."""
    return folder / "annot" / f"{frame + 1:06}.pts"


def w300vw(root: Path, split: str) -> tuple[VideoSequence, ...]:
    """The labelled runs of the videos of `train`, `A`, `B` or `C`, videos by name.

    Frames without a .pts file divide a video into several sequences (note to table 4). The labels
    are read at once, the frames when they are asked for. Raises DatasetError naming the file.
    """
    if split not in SPLITS:
        raise DatasetError(f"300VW has no split {split!r}; choose one of {', '.join(SPLITS)}")
    require_folder(root, "the folder of 300VW, with a folder a video")
    test = {name for names in CATEGORIES.values() for name in names}
    if split == "train":
        videos = [path.parent.name for path in root.glob("*/annot")]
        names = sorted(name for name in videos if name not in test)
    else:
        names = sorted(CATEGORIES[split])
    if not names:
        raise DatasetError(f"{root} holds no videos of the split {split!r} of 300VW")
    return tuple(sequence for name in names for sequence in sequences(root / name, split))


def sequences(folder: Path, category: str) -> list[VideoSequence]:
    """The runs of one video's folder. Raises DatasetError naming the file."""
    video = folder / VIDEO
    if not video.is_file():
        raise DatasetError(f"{video} does not exist; 300VW has a vid.avi in every video's folder")
    annotations = require_folder(folder / "annot", "the .pts files of 300VW's frames")
    frames = sorted(_frame(path) for path in annotations.glob("*.pts"))
    if not frames:
        raise DatasetError(f"{annotations} holds no .pts files; expected 000001.pts and so on")
    starts = [0, *(k for k in range(1, len(frames)) if frames[k] != frames[k - 1] + 1), len(frames)]
    return [
        VideoSequence(
            folder.name,
            category,
            video,
            frames[start],
            np.stack([read_pts(annotation_of(folder, frame)) for frame in frames[start:end]]),
        )
        for start, end in pairwise(starts)
    ]


def _frame(path: Path) -> int:
    """The frame, counted from 0, that a .pts file labels."""
    if not (path.stem.isdigit() and len(path.stem) == 6 and int(path.stem) > 0):
        raise DatasetError(f"{path} is not named after a frame; expected 000001.pts and so on")
    return int(path.stem) - 1
