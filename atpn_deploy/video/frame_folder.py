"""Folders of frames, and single photographs: images read in the order of their names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from atpn_deploy.closing import Closing
from atpn_deploy.errors import ConfigError, ImageError, VideoError
from atpn_deploy.photo import read_photo
from atpn_deploy.video.source import Frame

#: What a photograph's name ends in.
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
#: Frames a second of a folder, where nobody says.
FOLDER_FPS = 25.0


class FrameFolder(Closing):
    """A `Source` over the images of a folder, in natural order: frame2.png before frame10.png.

    Hidden files, subfolders and files that are not named as images are passed over. Sizes may
    differ from frame to frame. An image that cannot be read is counted in `damaged` and passed
    over; its number stays free.
    """

    size: tuple[int, int] | None = None

    def __init__(self, folder: Path, *, every: int = 1, fps: float = FOLDER_FPS) -> None:
        """List `folder`; frame k is at k / `fps` seconds.

        Raises VideoError for a folder without images and ConfigError for an `fps` that cannot be.
        """
        if not 0 < fps < math.inf:
            raise ConfigError(f"{fps:g} frames a second came; expected more than 0")
        self.name = str(folder)
        self.fps = fps
        self.damaged = 0
        self.problem = ""
        self._every = every
        self._paths = images_in(folder)
        self.frames_expected = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        reason = ""
        for index in range(0, len(self._paths), self._every):
            try:
                image = read_photo(self._paths[index])
            except ImageError as error:
                self.damaged += 1
                reason = reason or str(error)
                continue
            self.size = self.size or (image.shape[1], image.shape[0])
            yield Frame(index, index / self.fps, image)
        if self.size is None:
            self.problem = f"of {self.damaged} images none can be read: {reason}"


class Photo(Closing):
    """A `Source` of one frame. Raises ImageError where it can't be read."""

    problem = ""
    damaged = 0
    frames_expected = 1
    fps = None

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._image = read_photo(path)
        self.size = (self._image.shape[1], self._image.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(0, 0.0, self._image)


def images_in(folder: Path) -> Sequence[Path]:
    """The images of a folder in natural order; VideoError where there is none."""
    try:
        names = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise VideoError(f"{folder} cannot be listed: {error.strerror}") from error
    images = [path for path in names if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()]
    if not images:
        came = "is empty" if not names else "holds no image"
        raise VideoError(
            f"{folder} {came}; expected a folder of frames ({' '.join(PHOTO_SUFFIXES)})"
        )
    return sorted(images, key=natural_order)


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A key by which numbers in a name count as numbers."""
    parts = re.split(r"(\d+)", path.name.casefold())
    keys = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return keys, path.name
