"""The research packs: their labels as face sets, and what is damaged or missing in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.datasets import packs
from atpn_deploy.datasets.backgrounds import bsds_backgrounds, permissive_backgrounds
from atpn_deploy.datasets.catalogue import DATASETS, Dataset, found
from atpn_deploy.datasets.detection_wider import detection_wider_scenes
from atpn_deploy.datasets.london import POINTS_OF_98, london
from atpn_deploy.datasets.menpo68 import menpo68
from atpn_deploy.datasets.merl68 import merl68
from atpn_deploy.errors import DatasetError
from atpn_deploy.mean_shape import mean_shape

FACES = {
    "train98": 16_232,
    "train98-profiles": 339,
    "merl68": 6_980,
    "london": 102,
    "menpo68": 46,
    "wflw-dev": 168,
    "aflw2000-dev": 985,
    "detection-wider": 97,
}


@pytest.mark.parametrize("dataset", [d for d in DATASETS if d.name in FACES], ids=lambda d: d.name)
def test_a_pack_is_a_whole_face_set(shared_data: Path, dataset: Dataset) -> None:
    assert dataset.faces is not None
    faces = dataset.faces(shared_data)
    count, points = FACES[dataset.name], faces.points.shape[1]
    assert len(faces) == len(faces.names) == count
    assert faces.boxes.shape == (count, 4)
    assert faces.weights.shape == (count, points)
    assert faces.pose.shape == (count, 3)
    assert np.isfinite(faces.points).all()
    assert (faces.weights >= 0).all()
    assert (faces.weights <= 1).all()
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()
    known = np.isfinite(faces.pose).all(1)
    has_pose = "pose" in dataset.offers or dataset.name == "merl68"
    assert known.mean() > 0.75 if has_pose else not known.any()
    for index in (0, count // 2, count - 1):
        image = faces.images[index]
        assert image.dtype == np.uint8
        left, top, right, bottom = faces.boxes[index]
        assert right - left < 1.1 * image.shape[1]
        assert bottom - top < 1.1 * image.shape[0]
        centre = ((left + right) / 2, (top + bottom) / 2)
        assert (0, 0) < centre < image.shape[1::-1]


def test_all_packs_are_found(shared_data: Path) -> None:
    assert set(FACES) <= {dataset.name for dataset in found(shared_data)}


def test_development_faces_carry_their_attributes(shared_data: Path) -> None:
    faces = packs.wflw_dev(shared_data)
    assert faces.attributes is not None
    assert faces.attributes.shape == (168, 6)
    assert 0 < faces.attributes[:, 0].sum() < 60  # the faces of large pose


def test_negatives_are_crops(shared_data: Path) -> None:
    for crops, count in (
        (packs.train98_negatives(shared_data), 6_185),
        (bsds_backgrounds(shared_data), 1_392),
        (permissive_backgrounds(shared_data), 624),
    ):
        assert len(crops) == count
        assert crops[count - 1].shape == (112, 112, 3)


def test_points_behind_the_head_have_no_weight(shared_data: Path) -> None:
    faces = merl68(shared_data)
    assert (faces.weights == 0).mean() == pytest.approx(0.149, abs=1e-3)
    turned = np.degrees(faces.pose[:, 0])
    # Yaw > 0: the nose points to the left of the image, so the jaw's left end is hidden.
    assert faces.weights[turned > 50, 0].mean() < 0.2
    assert faces.weights[turned < -50, 0].mean() > 0.8
    profiles = packs.train98_profiles(shared_data)
    assert set(np.unique(profiles.weights)) == {0, 1}


def test_manual_points_have_a_pose_without_train98_too(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "aflw_merlrav68").symlink_to(shared_data / "aflw_merlrav68")
    alone, corrected = merl68(tmp_path).pose, merl68(shared_data).pose
    known = np.isfinite(alone).all(1) & np.isfinite(corrected).all(1)
    same = np.isclose(alone, corrected, atol=1e-3).all(1)
    assert 0.99 < same[known].mean() < 1


def test_the_london_template_agrees_with_the_mean_face(shared_data: Path) -> None:
    """Scaled to its eyes, the mean of the template lies on WFLW's mean face, to a few percent."""
    faces = london(shared_data)
    known = sorted(POINTS_OF_98)
    assert np.flatnonzero(faces.weights.min(0)).tolist() == known
    template = (faces.points[:, known] @ (1, 1j)).mean(0)
    shape = (mean_shape(98).numpy()[known] @ (1, 1j)).astype(complex)
    a, b = known.index(60), known.index(72)
    placed = (template - template[a]) / (template[b] - template[a])
    expected = (shape - shape[a]) / (shape[b] - shape[a])
    placed += (expected - placed).mean()
    assert np.abs(placed - expected).mean() < 0.05


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"wflw_dev/labels\.npz does not exist"):
        packs.wflw_dev(tmp_path)
    (tmp_path / "wflw_dev").mkdir()
    (tmp_path / "wflw_dev" / "labels.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DatasetError, match=r"labels\.npz is damaged or no \.npz"):
        packs.wflw_dev(tmp_path)
    np.savez(tmp_path / "wflw_dev" / "labels.npz", filename=np.array(["a"], object))
    with pytest.raises(DatasetError, match=r"labels\.npz is damaged or no \.npz of plain arrays"):
        packs.wflw_dev(tmp_path)


@pytest.mark.parametrize(
    ("read", "path"),
    [
        (menpo68, "dlib_menpo_68/landmarks68.json"),
        (detection_wider_scenes, "detection_wider/boxes.json"),
    ],
)
def test_a_damaged_json_is_named(tmp_path: Path, read, path: str) -> None:
    with pytest.raises(DatasetError, match=rf"{path} cannot be read: No such file"):
        read(tmp_path)
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text("{")
    with pytest.raises(DatasetError, match=rf"{path} is no JSON"):
        read(tmp_path)
