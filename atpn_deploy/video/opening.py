"""Which source a text names: a camera, an address, a folder, a photograph or a video file."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from atpn_deploy.errors import ConfigError, VideoError
from atpn_deploy.photo import holds_photo
from atpn_deploy.video.camera import Camera
from atpn_deploy.video.frame_folder import FOLDER_FPS, PHOTO_SUFFIXES, FrameFolder, Photo
from atpn_deploy.video.source import Source
from atpn_deploy.video.video_file import VideoFile

#: What a video's name ends in, where files are told apart by name alone, as in a folder of many.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".h264", ".h265", ".hevc"),
)


def is_video(path: Path) -> bool:
    """Whether the name of `path` ends as a video's does; its content is not looked at."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def open_source(
    where: str | Path, *, every: int = 1, fps: float | None = None, threads: int = 1
) -> Source:
    """Open what `where` names, of whose frames the first and each `every`-th after it are given.

    A number is a camera, as are /dev/video0 and an address such as rtsp://...; a folder holds
    frames; an image is a photograph; any other file is a video. `fps` times the frames of a folder
    and of nothing else. `threads` decode a video file, 0 as many as FFmpeg sees fit.

    Raises VideoError that says what came and what was expected, ImageError for a photograph that
    cannot be read, ConfigError for `every` or `fps` that cannot be, MissingToolError for a library
    that is not installed.
    """
    if every < 1:
        raise ConfigError(f"every {every} came; expected 1 for all frames, 2 for every other ...")
    path = Path(where)
    if path.is_dir():
        return _open_folder(path, every, FOLDER_FPS if fps is None else fps)
    if fps is not None and not path.exists() and not is_camera(str(where)):
        raise VideoError(f"{where} does not exist; expected a folder of frames")
    if fps is not None:
        raise ConfigError(f"{where} is no folder of frames; its own clock counts, not fps {fps:g}")
    if is_camera(str(where)):
        return Camera(str(where), every=every)
    if is_photo(where):
        return Photo(path)
    return VideoFile(path, every=every, threads=threads)


def is_photo(where: str | Path) -> bool:
    """Whether `where` names a photograph: by its suffix, or its first bytes where that is none's.

    A file that is missing is one if it is named as one.
    """
    path = Path(where)
    if path.is_dir() or is_camera(str(where)):
        return False
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return True
    return path.is_file() and not is_video(path) and holds_photo(path)


def is_camera(text: str) -> bool:
    """Whether `text` names a camera: its number, its device, or an address."""
    if re.fullmatch(r"\d+", text):
        return not Path(text).exists()
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return True
    try:
        return stat.S_ISCHR(Path(text).stat().st_mode)
    except (OSError, ValueError):
        return False


def _open_folder(folder: Path, every: int, fps: float) -> FrameFolder:
    try:
        return FrameFolder(folder, every=every, fps=fps)
    except VideoError:
        if videos := sum(is_video(path) for path in folder.iterdir()):
            raise VideoError(
                f"{folder} holds no images but {videos} videos; expected a folder of frames. For "
                f"the videos type: atpn-track many {folder} --model FILE --output-dir DIR"
            ) from None
        raise
