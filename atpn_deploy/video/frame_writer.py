"""Where drawn frames go: a video file, or a folder of PNGs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from atpn_deploy.closing import Closing, Context
from atpn_deploy.delivery import cannot_write, deliver
from atpn_deploy.photo import write_photo
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_writer import VideoWriter


class FrameWriter(Context, Protocol):
    """Takes frames in the order of their times; a context manager."""

    frames_written: int

    def write(self, frame: Frame) -> None:
        """Add one; AtpnError where it can't be written."""

    def close(self) -> None:
        """Finish what was written; leaving the context does it too."""


class FrameFolderWriter(Closing):
    """Writes 000001.png and so on, each whole under its name; frame k of the input is k + 1.

    The number is that of the frame in the input: of every tenth frame come 000001, 000011 ...
    """

    def __init__(self, folder: Path) -> None:
        """Make `folder`, and what is above it; AtpnError where that fails."""
        self.frames_written = 0
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def write(self, frame: Frame) -> None:
        """Write one PNG; AtpnError where it can't be written."""
        path = self._folder / f"{frame.index + 1:06}.png"
        deliver(path, lambda aside: write_photo(frame.image, aside, small=False))
        self.frames_written += 1

    def close(self) -> None:
        """Nothing is left to do: every file was whole when it got its name."""


def open_writer(where: Path, *, fps: float | None = None, threads: int = 1) -> FrameWriter:
    """A video where `where` has a suffix, PNGs in a folder where it has none or is a folder.

    Raises VideoError for a suffix that cannot be written.
    """
    if where.is_dir() or not where.suffix:
        return FrameFolderWriter(where)
    return VideoWriter(where, fps=fps, threads=threads)
