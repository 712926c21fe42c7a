"""Annotated frames of a tracking run: one video file, or a folder of PNGs."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from atpn_deploy.delivery import check_file, check_parent
from atpn_deploy.draw import require_drawing
from atpn_deploy.draw_tracks import annotate_tracks
from atpn_deploy.errors import ConfigError
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.video.frame_writer import FrameWriter, open_writer
from atpn_deploy.video.pyav import require_pyav
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_writer import OUTPUT_SUFFIXES


class Pictures:
    """Draws the faces of each frame, and hands the picture on."""

    def __init__(self, path: Path, canvas: FrameWriter, times: StageTimes) -> None:
        self.path = path
        self._canvas = canvas
        self._times = times

    def write(self, frame: Frame, faces: FrameFaces) -> None:
        """Add a frame; its own image stays as it is."""
        with self._times.measured("draw"):
            picture = annotate_tracks(frame.image, faces.faces)
        with self._times.measured("write"):
            self._canvas.write(Frame(frame.index, frame.time_s, picture))

    def close(self) -> None:
        """Finish the video."""
        with self._times.measured("write"):
            self._canvas.close()


#: Frames that may wait for the thread that draws.
WAITING = 4


class Beside:
    """Pictures drawn and encoded in one thread of their own, in order, a few frames behind."""

    def __init__(self, pictures: Pictures, times: StageTimes) -> None:
        """`pictures` counts its own stages; waiting for it is counted in `times` as "write"."""
        self.path = pictures.path
        self._pictures = pictures
        self._times = times
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._waiting: deque[Future[None]] = deque()
        self._broken = False

    def write(self, frame: Frame, faces: FrameFaces) -> None:
        """Queue a frame, and wait while too many do; raises what one of those before raised."""
        with self._times.measured("write"):
            self._settle(WAITING - 1)
        self._waiting.append(self._thread.submit(self._draw, frame, faces))

    def close(self) -> None:
        """Wait for the rest and finish; what was drawn is finished after a failure too."""
        with self._times.measured("write"):
            try:
                self._settle(0)
            finally:
                self._thread.shutdown(cancel_futures=True)
                self._pictures.close()

    def _draw(self, frame: Frame, faces: FrameFaces) -> None:
        """In the thread. After a frame that failed, those that wait are not written any more."""
        if not self._broken:
            self._broken = True
            self._pictures.write(frame, faces)
            self._broken = False

    def _settle(self, left: int) -> None:
        """Wait until no more than `left` frames wait."""
        while len(self._waiting) > left:
            self._waiting.popleft().result()


def open_pictures(path: Path, fps: float | None, times: StageTimes) -> Pictures:
    """A video or a folder, as `check_pictures` has passed it; `fps` is nominal."""
    return Pictures(path, open_writer(path, fps=fps), times)


def check_pictures(path: Path, *, source: Path, force: bool) -> None:
    """Refuse, with ConfigError, an output that could not or must not be written.

    Raises MissingToolError without what draws and encodes.
    """
    require_drawing()
    if path.is_dir() or not path.suffix:
        _check_folder(path, source, force)
        return
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        raise ConfigError(
            f"--output {path} ends in {path.suffix!r}; expected a video "
            f"({' '.join(OUTPUT_SUFFIXES)}), or no suffix for a folder of PNGs"
        )
    require_pyav("writing videos")
    check_file(path, source=source, force=force)


def _check_folder(path: Path, source: Path, force: bool) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; expected a folder for PNGs, or a video's name")
    if path.is_dir() and source.is_dir() and path.samefile(source):
        raise ConfigError(f"{path} is the input itself; name another folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise ConfigError(f"{path} is not empty; add --force to write into it all the same")
    check_parent(path)
