"""What a stage trains on: which sets, whose pose, and what may be missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.datasets import catalogue
from atpn_deploy.datasets.augment import Augmentation, Sampler
from atpn_deploy.datasets.catalogue import Dataset
from atpn_deploy.datasets.faces import FaceSet, boxes_of
from atpn_deploy.errors import DatasetError
from atpn_deploy.training import sources
from atpn_deploy.training.sources import TrainingData

FITTED, OWN, EXACT = 0.1, 0.2, 0.3


def faces(name: str, pose: float, count: int = 2) -> FaceSet:
    rng = np.random.default_rng(1)
    points = rng.uniform(10, 90, (count, 98, 2)).astype(np.float32)
    weights = np.ones((count, 98), np.float32)
    images = [np.zeros((100, 100, 3), np.uint8)] * count
    angles = np.full((count, 3), pose, np.float32)
    return FaceSet(images, boxes_of(points, weights), points, weights, angles, (name,) * count)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one set in AFLW's frame, one in AFLW2000-3D's and one without pose."""
    sets = (
        Dataset(
            "aflw",
            ("a",),
            ("alignment98", "pose"),
            "",
            aflw_pose=True,
            faces=lambda _: faces("aflw", OWN),
        ),
        Dataset("points", ("a",), ("alignment98",), "", faces=lambda _: faces("points", np.nan)),
        Dataset("posed", ("a",), ("pose",), "", faces=lambda _: faces("posed", OWN)),
    )
    monkeypatch.setattr(catalogue, "DATASETS", sets)
    monkeypatch.setattr(sources, "pose_model", lambda path: None)
    monkeypatch.setattr(
        sources,
        "_cached_fit",
        lambda points, weights, model, cache: np.full((len(points), 3), FITTED, np.float32),
    )
    monkeypatch.setattr(
        TrainingData, "_rendered", lambda self, model: faces("render", EXACT, self.renders)
    )
    (tmp_path / "a").mkdir()
    return tmp_path


def poses(found: FaceSet) -> dict[str, float]:
    return {
        name: round(float(pose), 3)
        for name, pose in zip(found.names, found.pose[:, 0], strict=True)
    }


def test_without_a_face_model_pose_is_learnt_from_the_sets_own(data: Path) -> None:
    assert poses(TrainingData(data).faces(3)) == {"aflw": OWN, "posed": OWN}


def test_with_a_face_model_only_angles_in_the_right_frame_are_kept(data: Path) -> None:
    found = TrainingData(data, face_model=Path("ict.npz"), renders=3).faces(3)
    assert poses(found) == {"aflw": FITTED, "points": FITTED, "posed": OWN, "render": EXACT}


def test_stage_1_has_the_faces_with_points_and_the_renders(data: Path) -> None:
    assert set(TrainingData(data).faces(1).names) == {"aflw", "points"}
    found = TrainingData(data, face_model=Path("ict.npz"), renders=3).faces(1)
    assert found.names.count("render") == 3


def test_backgrounds_are_needed_by_stage_2_alone(data: Path) -> None:
    training = TrainingData(data)
    training.require([1, 3])
    assert len(training.negatives()) == 0
    with pytest.raises(DatasetError, match="boxes"):
        training.require([2])


def test_without_backgrounds_none_is_blended_in() -> None:
    sampler = Sampler(faces("a", OWN), (), Augmentation(mixup=1.0), seed=1)
    assert sampler.batch(0, 2).image.shape == (2, 112, 112, 3)


def test_rendered_faces_are_kept_whole(tmp_path: Path) -> None:
    rendered = faces("render", EXACT, 3)
    path = tmp_path / "renders.npz"
    sources._store(rendered, path)
    again = sources._stored(path)
    assert again.names == rendered.names
    np.testing.assert_array_equal(again.points, rendered.points)
    np.testing.assert_array_equal(again.pose, rendered.pose)
    np.testing.assert_array_equal(again.images[2], rendered.images[2])
    assert [file.name for file in tmp_path.iterdir()] == ["renders.npz"]
