"""Rendered sequences on disk: a video and its labels in the layout of 300VW, and all that is known.

300VW labels one face of 68 points a frame; `faces.jsonl` holds all 98 points of every face.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from atpn_deploy.datasets.pts import write_pts
from atpn_deploy.datasets.w300vw import VIDEO, annotation_of
from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import as_68
from atpn_deploy.renderer.screenplay import FPS
from atpn_deploy.renderer.sequence import ActedFace, SequenceFrame

FACES = "faces.jsonl"


def write_sequence(frames: Iterable[SequenceFrame], folder: Path) -> tuple[int, int]:
    """Write vid.avi (Motion JPEG), annot/000001.pts ... and faces.jsonl into a new folder.

    A frame is labelled where half of the first actor's face is in the picture, covered or not: as
    300VW's annotators did. Returns the numbers of frames and of labelled ones. Raises DatasetError
    where the folder exists or can't be written.
    """
    try:
        annotations = folder / "annot"
        annotations.mkdir(parents=True)
        with (folder / FACES).open("w", encoding="utf-8") as lines:
            return _write(frames, folder, lines)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written: {error.strerror or error}") from error


def _write(frames: Iterable[SequenceFrame], folder: Path, lines: TextIO) -> tuple[int, int]:
    count = labelled = 0
    writer: cv2.VideoWriter | None = None
    try:
        for frame in frames:
            if writer is None:
                writer = _writer(folder / VIDEO, frame.image.shape)
            writer.write(np.ascontiguousarray(frame.image[..., ::-1]))
            lines.write(json.dumps(_described(frame)) + "\n")
            count += 1
            first = frame.faces[0]
            if first.in_picture:
                write_pts(as_68(first.points), annotation_of(folder, frame.index))
                labelled += 1
    finally:
        if writer is not None:
            writer.release()
    return count, labelled


def _writer(path: Path, shape: tuple[int, ...]) -> cv2.VideoWriter:
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), codec, FPS, (shape[1], shape[0]))
    if not writer.isOpened():
        raise DatasetError(f"{path} cannot be written; is there room, and may you write there?")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
    return writer


def _described(frame: SequenceFrame) -> dict[str, Any]:
    """One line of faces.jsonl: pixels, edge based; radians."""
    return {
        "frame": frame.index,
        "time_s": round(frame.time_s, 6),
        "shot": frame.shot,
        "faces": [_face(face) for face in frame.faces],
    }


def _face(face: ActedFace) -> dict[str, Any]:
    return {
        "person": face.person,
        "points": [[round(float(c), 3) for c in point] for point in face.points],
        "yaw_pitch_roll": [round(float(angle), 6) for angle in face.pose],
        "in_picture": face.in_picture,
        "seen": face.seen,
    }
