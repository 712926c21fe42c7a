"""Which files of a folder are videos, and what was passed over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import FleetError
from atpn_deploy.video.frame_folder import PHOTO_SUFFIXES
from atpn_deploy.video.opening import VIDEO_SUFFIXES, is_video


@dataclass(frozen=True)
class Video:
    """A file that is named as a video, as it was when the folder was listed."""

    name: str  # below the folder, with "/", the same on every machine
    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Remark:
    """A file or folder that can't be worked on, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """All that lies below a folder."""

    videos: tuple[Video, ...]  # largest first: the run ends with the short ones
    passed_over: tuple[Remark, ...]  # what is no video
    unreadable: tuple[Remark, ...]  # videos and folders that can't be looked at


def list_videos(folder: Path, output_dir: Path) -> Listing:
    """Everything below `folder` except `output_dir`; linked files count, linked folders do not.

    Raises FleetError for a folder that is missing or holds no video.
    """
    if not folder.is_dir():
        came = "is a file" if folder.exists() else "does not exist"
        raise FleetError(f"{folder} {came}; expected a folder of videos")
    videos: list[Video] = []
    passed_over: list[Remark] = []
    unreadable: list[Remark] = []
    for path in _files_below(folder, output_dir.resolve(), unreadable):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith("."):
            passed_over.append(Remark(name, "hidden"))
        elif not is_video(path):
            passed_over.append(Remark(name, "not named as a video"))
        else:
            try:
                found = path.stat()
            except OSError as error:
                unreadable.append(Remark(name, error.strerror or str(error)))
                continue
            if stat.S_ISREG(found.st_mode):
                videos.append(Video(name, path, found.st_size, found.st_mtime_ns))
            else:
                passed_over.append(Remark(name, "not a file"))
    if not videos and not unreadable:
        raise FleetError(_without_videos(folder, passed_over))
    videos.sort(key=lambda video: (-video.size_bytes, video.name))
    return Listing(tuple(videos), tuple(passed_over), tuple(unreadable))


def _files_below(folder: Path, output_dir: Path, unreadable: list[Remark]) -> Iterator[Path]:
    """Every file in the order of names, links to files included."""

    def refused(error: OSError) -> None:
        name = os.path.relpath(error.filename, folder)
        unreadable.append(Remark(name, error.strerror or str(error)))

    for parent, folders, names in os.walk(folder, onerror=refused):
        here = Path(parent)
        # Results of an earlier run may hold drawn videos.
        folders[:] = sorted(f for f in folders if (here / f).resolve() != output_dir)
        yield from (here / name for name in sorted(names))


def _without_videos(folder: Path, passed_over: list[Remark]) -> str:
    """What to say of a folder without any video; of frames, what to type instead."""
    if any(Path(other.name).suffix.lower() in PHOTO_SUFFIXES for other in passed_over):
        return (
            f"{folder} holds images and no video; if they are the frames of one video, "
            f"type: atpn-track {folder} --model FILE"
        )
    return f"{folder} holds no video; expected files that end in {' '.join(VIDEO_SUFFIXES)}"
