"""The research packs that the shipped weights were trained and measured on, as face sets.

Each pack is a folder with zip files of images and one .npz of labels; its README describes them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet, Image, boxes_of, concatenate, unknown_pose
from atpn_deploy.datasets.images import Cached, ZipImages
from atpn_deploy.errors import DatasetError

Labels = Mapping[str, NDArray[Any]]


def read_labels(path: Path) -> Labels:
    """Load an .npz of labels; plain arrays only, a pickled one is refused."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; give the folder that holds the packs")
    try:
        # Given a path, NumPy leaves the file open where it is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is damaged or no .npz of plain arrays: {error}") from error


def zip_images(archive: Path, members: NDArray[Any]) -> Cached:
    """The named members of a zip, each decoded once and then kept."""
    return Cached(ZipImages(archive, [str(name) for name in members]))


def row_names(labels: Path, rows: NDArray[np.int64], images: NDArray[Any]) -> tuple[str, ...]:
    """What messages call the faces of some rows of an .npz."""
    where = f"{labels.parent.name}/{labels.name}"
    return tuple(f"{where} row {row} ({image})" for row, image in zip(rows, images, strict=True))


def _point_weights(spread_percent: NDArray[Any]) -> NDArray[np.float32]:
    """Trust a point less the more its teachers disagreed: 1 / (1 + (spread / 3 %)^2)."""
    return (1 / (1 + np.square(spread_percent.astype(np.float32) / 3))).astype(np.float32)


def _face_set(
    path: Path,
    labels: Labels,
    rows: NDArray[np.int64],
    archive: Path,
    weights: NDArray[np.float32],
    *,
    image_key: str = "image",
    points_key: str = "pts98",
    pose: NDArray[np.float32] | None = None,
    attributes: NDArray[np.bool_] | None = None,
) -> FaceSet:
    """Some rows of an .npz; the box is that of all their points, guessed ones too."""
    points = labels[points_key][rows].astype(np.float32)
    images = labels[image_key][rows]
    return FaceSet(
        images=zip_images(archive, images),
        boxes=boxes_of(points, np.ones(points.shape[:2], np.float32)),
        points=points,
        weights=weights,
        pose=unknown_pose(len(points)) if pose is None else pose,
        names=row_names(path, rows, images),
        attributes=attributes,
    )


def train98_aflw(data: Path) -> FaceSet:
    """12,858 AFLW faces (the pack's own filter applied) with 98 points and AFLW's pose.

    85 of them have no pose.
    """
    path = data / "train98" / "aflw_labels.npz"
    labels = read_labels(path)
    parts = []
    for source, archive in (
        ("merl68", data / "aflw_merlrav68" / "images.zip"),
        ("aflw21", data / "train98" / "aflw_extra_images.zip"),
    ):
        rows = np.flatnonzero(labels["ok"] & (labels["label_source"] == source))
        weights = _point_weights(labels["point_spread_pct"][rows])
        parts.append(_face_set(path, labels, rows, archive, weights, pose=_pose(labels, rows)))
    return concatenate(parts)


def train98_profiles(data: Path) -> FaceSet:
    """339 AFLW faces, mostly profiles, on which the teachers disagree but a person marked points.

    Visible points follow the manual ones and count fully, self-occluded ones are a guess and count
    nothing. Rows whose points are more than 3.5 % of the face from the manual ones stay out.
    """
    path = data / "train98" / "aflw_labels.npz"
    labels = read_labels(path)
    manual = (labels["label_source"] == "merl68") & (labels["fused_vs_manual_pct"] <= 3.5)
    rows = np.flatnonzero(manual & ~labels["ok"])
    weights = (labels["visibility98"][rows] > 0).astype(np.float32)  # 2 visible, 1 behind a thing
    archive = data / "aflw_merlrav68" / "images.zip"
    return _face_set(path, labels, rows, archive, weights, pose=_pose(labels, rows))


def train98_wider(data: Path) -> FaceSet:
    """2,225 WIDER FACE faces with 98 points of four teachers; no pose."""
    path = data / "train98" / "wider_labels.npz"
    labels = read_labels(path)
    rows = np.arange(len(labels["image"]))
    weights = _point_weights(labels["point_spread_pct"])
    return _face_set(path, labels, rows, data / "train98" / "wider_images.zip", weights)


def train98_udacity(data: Path) -> FaceSet:
    """1,149 frames of YouTube Faces with 98 points; no pose."""
    path = data / "train98" / "udacity_labels.npz"
    labels = read_labels(path)
    rows = np.arange(len(labels["image"]))
    weights = np.full((len(rows), 98), 0.7, np.float32)  # soft video frames
    return _face_set(path, labels, rows, data / "train98" / "udacity_images.zip", weights)


def train98_faces(data: Path) -> FaceSet:
    """All training faces of the pack that its own filter keeps."""
    return concatenate((train98_aflw(data), train98_wider(data), train98_udacity(data)))


def train98_negatives(data: Path, max_face_fraction: float = 0.35) -> Sequence[Image]:
    """112x112 crops in which no more than `max_face_fraction` of any face is seen."""
    labels = read_labels(data / "train98" / "negatives_labels.npz")
    strict = (labels["max_face_fraction_inside"] < max_face_fraction) | (labels["kind"] == "small")
    return zip_images(data / "train98" / "negatives112.zip", labels["image"][strict])


def wflw_dev(data: Path) -> FaceSet:
    """168 faces of the WFLW test set: for evaluation, never for training or calibration."""
    path = data / "wflw_dev" / "labels.npz"
    labels = read_labels(path)
    rows = np.arange(len(labels["filename"]))
    return _face_set(
        path,
        labels,
        rows,
        data / "wflw_dev" / "images.zip",
        np.ones((len(rows), 98), np.float32),
        image_key="filename",
        attributes=labels["attributes"] > 0,
    )


def aflw2000_dev(data: Path) -> FaceSet:
    """985 AFLW2000-3D crops (|angle| <= 99, the usual protocol) with 68 points and pose.

    The points are the re-annotated ones: they follow the face where the 3D fit slips. For
    evaluation only.
    """
    path = data / "aflw2000_dev" / "labels.npz"
    labels = read_labels(path)
    rows = np.flatnonzero(labels["valid_99"])
    pitch, yaw, roll = np.radians(labels["pitch_yaw_roll_deg"][rows]).T
    return _face_set(
        path,
        labels,
        rows,
        data / "aflw2000_dev" / "crops120.zip",
        np.ones((len(rows), 68), np.float32),
        points_key="pts68_reannotated",
        pose=np.stack((yaw, pitch, roll), -1).astype(np.float32),
    )


def _pose(labels: Labels, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """AFLW's pose, (N, 3) radian; NaN where it has none."""
    return np.radians(labels["yaw_pitch_roll_deg"][rows]).astype(np.float32)
