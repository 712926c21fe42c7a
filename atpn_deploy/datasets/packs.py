"""The research packs that the shipped weights were trained and measured on, as face sets.

Each pack is a folder with zip files of images and one .npz of labels; its README describes them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet, Image, concatenate
from atpn_deploy.errors import DatasetError

Labels = Mapping[str, NDArray[Any]]


def read_labels(path: Path) -> Labels:
    """Load an .npz of labels; plain arrays only, a pickled one is refused."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; give the folder that holds the packs")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_images(path: Path, names: Iterable[str]) -> list[Image]:
    """Decode the named members of a zip as RGB."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; give the folder that holds the packs")
    try:
        with zipfile.ZipFile(path) as archive:
            return [_decoded(archive.read(name), f"{name} in {path}") for name in names]
    except (zipfile.BadZipFile, KeyError) as error:
        raise DatasetError(f"{path} is damaged or not the pack's own zip: {error}") from error


def _decoded(encoded: bytes, name: str) -> Image:
    """One image file as (H, W, 3) RGB."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
    if image is None:
        raise DatasetError(f"{name} is not an image")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def _unknown_pose(count: int) -> NDArray[np.float32]:
    return np.full((count, 3), np.nan, np.float32)


def _point_weights(spread_percent: NDArray[Any]) -> NDArray[np.float32]:
    """Trust a point less the more its teachers disagreed: 1 / (1 + (spread / 3 %)^2)."""
    return (1 / (1 + np.square(spread_percent.astype(np.float32) / 3))).astype(np.float32)


def train98_aflw(data: Path) -> FaceSet:
    """12,858 AFLW faces (the pack's own filter applied) with 98 points and AFLW's pose.

    85 of them have no pose.
    """
    labels = read_labels(data / "train98" / "aflw_labels.npz")
    parts = []
    for source, archive in (
        ("merl68", data / "aflw_merlrav68" / "images.zip"),
        ("aflw21", data / "train98" / "aflw_extra_images.zip"),
    ):
        rows = np.flatnonzero(labels["ok"] & (labels["label_source"] == source))
        parts.append(
            FaceSet(
                read_images(archive, labels["image"][rows].tolist()),
                labels["pts98"][rows].astype(np.float32),
                _point_weights(labels["point_spread_pct"][rows]),
                np.radians(labels["yaw_pitch_roll_deg"][rows]).astype(np.float32),
            )
        )
    return concatenate(parts)


def train98_wider(data: Path) -> FaceSet:
    """2,225 WIDER FACE faces with 98 points of four teachers; no pose."""
    labels = read_labels(data / "train98" / "wider_labels.npz")
    images = read_images(data / "train98" / "wider_images.zip", labels["image"].tolist())
    return FaceSet(
        images,
        labels["pts98"].astype(np.float32),
        _point_weights(labels["point_spread_pct"]),
        _unknown_pose(len(images)),
    )


def train98_udacity(data: Path) -> FaceSet:
    """1,149 frames of YouTube Faces with 98 points; no pose."""
    labels = read_labels(data / "train98" / "udacity_labels.npz")
    images = read_images(data / "train98" / "udacity_images.zip", labels["image"].tolist())
    points = labels["pts98"].astype(np.float32)
    weights = np.full(points.shape[:2], 0.7, np.float32)  # soft video frames
    return FaceSet(images, points, weights, _unknown_pose(len(images)))


def train98_faces(data: Path) -> FaceSet:
    """All training faces of the pack."""
    return concatenate((train98_aflw(data), train98_wider(data), train98_udacity(data)))


def train98_negatives(data: Path, max_face_fraction: float = 0.35) -> list[Image]:
    """112x112 crops in which no more than `max_face_fraction` of any face is seen."""
    labels = read_labels(data / "train98" / "negatives_labels.npz")
    strict = (labels["max_face_fraction_inside"] < max_face_fraction) | (labels["kind"] == "small")
    return read_images(data / "train98" / "negatives112.zip", labels["image"][strict].tolist())


def wflw_dev(data: Path) -> FaceSet:
    """168 faces of the WFLW test set: for evaluation, never for training or calibration."""
    labels = read_labels(data / "wflw_dev" / "labels.npz")
    images = read_images(data / "wflw_dev" / "images.zip", labels["filename"].tolist())
    points = labels["pts98"].astype(np.float32)
    weights = np.ones(points.shape[:2], np.float32)
    return FaceSet(images, points, weights, _unknown_pose(len(images)))


def aflw2000_dev(data: Path) -> tuple[list[Image], NDArray[np.float32], NDArray[np.float32]]:
    """1,000 AFLW2000-3D crops, the usual protocol's |angle| <= 99: images, points, pose.

    Points (N, 68, 2) in pixels; pose (N, 3) radian, (yaw, pitch, roll). For evaluation only.
    """
    labels = read_labels(data / "aflw2000_dev" / "labels.npz")
    valid = labels["valid_99"]
    images = read_images(data / "aflw2000_dev" / "crops120.zip", labels["image"][valid].tolist())
    pitch, yaw, roll = np.radians(labels["pitch_yaw_roll_deg"][valid]).T
    pose = np.stack((yaw, pitch, roll), -1).astype(np.float32)
    return images, labels["pts68_reannotated"][valid].astype(np.float32), pose
