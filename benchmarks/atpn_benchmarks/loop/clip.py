"""The frames that every loop is timed on: decoded before, kept in memory, bounded in number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ConfigError, VideoError
from atpn_deploy.video.opening import open_source
from atpn_deploy.video.source import Frame

#: Frames take no more memory than this, so that of large ones fewer are kept.
MOST_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Clip:
    """Frames of one video, in its order and on its clock."""

    name: str
    frames: tuple[Frame, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the first frame."""
        height, width = self.frames[0].image.shape[:2]
        return width, height


def read_clip(path: Path, most: int, size: tuple[int, int] | None = None) -> Clip:
    """The first `most` frames of a video, resized to `size` (width, height) where it is given.

    Raises VideoError for a video without a frame.
    """
    frames: list[Frame] = []
    taken = 0
    with open_source(path) as source:
        for frame in source:
            image = frame.image if size is None else _resized(frame.image, size)
            taken += image.nbytes
            if len(frames) == most or (frames and taken > MOST_BYTES):
                break
            frames.append(Frame(frame.index, frame.time_s, image))
    if not frames:
        raise VideoError(f"{path} gave no frame; expected a video that shows a face")
    return Clip(path.name, tuple(frames))


def parse_size(text: str) -> tuple[int, int]:
    """`400x300` as (400, 300); ConfigError for anything else."""
    words = text.lower().split("x")
    if len(words) != 2 or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ConfigError(f"--size {text!r} came; expected WIDTHxHEIGHT, such as 400x300")
    return int(words[0]), int(words[1])


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The whole picture in another size, averaged where it becomes smaller."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    import cv2

    smaller = size[0] < image.shape[1]
    kernel = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=kernel), np.uint8)
