"""Negatives are cut where no face is, and are the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import Box, box_around
from atpn_deploy.datasets.detection_wider import detection_wider, detection_wider_scenes
from atpn_deploy.datasets.faces import Image
from atpn_deploy.datasets.packs import read_labels
from atpn_deploy.datasets.scenes import (
    LANDMARK_TOP,
    NEGATIVE_IOU,
    Scenes,
    background_box,
    background_crops,
    landmark_boxes,
    overlap,
)

SIZE = (300, 400)  # height, width


def scenes(*boxes: tuple[float, ...]) -> Scenes:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return Scenes([image] * 2, (array,) * 2, (np.ones(len(array), bool),) * 2, (("a",),) * 2)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(Box(0, 0, 10), Box(5, 0, 10)) == pytest.approx(50 / 150)
    assert overlap(Box(0, 0, 10), Box(2, 2, 5)) == pytest.approx(25 / 100)
    assert overlap(Box(0, 0, 10), Box(10, 0, 10)) == 0
    assert overlap(Box(0, 0, 10), Box(30, 30, 10)) == 0


@pytest.mark.parametrize("face", [(100, 60, 260, 260), (0, 0, 400, 300), (150, 100, 200, 160)])
def test_a_negative_lies_inside_and_shares_little_with_a_face(face: tuple[float, ...]) -> None:
    boxes = np.array([face], np.float32)
    crop = box_around(landmark_boxes(boxes)[0].reshape(2, 2))
    rng = np.random.default_rng(1)
    drawn = [background_box(SIZE, boxes, rng) for _ in range(200)]
    for box in drawn:
        assert overlap(box, crop) < NEGATIVE_IOU
        assert box.left >= 0
        assert box.top >= 0
        assert box.left + box.side <= SIZE[1]
        assert box.top + box.side <= SIZE[0]
    sides = np.array([box.side for box in drawn])
    assert sides.min() < 60
    assert sides.max() > 100


def test_a_photograph_full_of_faces_still_has_negatives() -> None:
    grid = [(x, y, x + 50, y + 60) for x in range(0, 400, 25) for y in range(0, 300, 25)]
    boxes = np.array(grid, np.float32)
    box = background_box(SIZE, boxes, np.random.default_rng(2))
    crops = [box_around(b.reshape(2, 2)) for b in landmark_boxes(boxes)]
    assert max(overlap(box, crop) for crop in crops) < NEGATIVE_IOU


def test_the_same_seed_gives_the_same_crops() -> None:
    crops = background_crops(scenes((100, 60, 260, 260)), seed=5, per_image=4)
    assert len(crops) == 8
    assert crops[0].shape == (CROP_SIDE, CROP_SIDE, 3)
    again = background_crops(scenes((100, 60, 260, 260)), seed=5, per_image=4)
    assert np.array_equal(again[6], crops[6])  # whichever was asked for first
    assert not np.array_equal(crops[6], crops[2])  # the same photograph's other crop
    other = background_crops(scenes((100, 60, 260, 260)), seed=6, per_image=4)
    assert not np.array_equal(other[6], crops[6])
    with pytest.raises(IndexError, match="crop 8 of 8"):
        crops[8]


def test_a_photograph_is_decoded_once_for_all_its_crops() -> None:
    asked: list[int] = []

    class Noted(list[Image]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            asked.append(index)
            return super().__getitem__(index)

    plain = scenes((100, 60, 260, 260))
    crops = background_crops(replace(plain, images=Noted(plain.images)), seed=5, per_image=4)
    for index in (5, 1, 4, 0, 5):
        crops[index]
    assert asked == [1, 0]


def test_the_development_photographs_have_faces_and_backgrounds(shared_data: Path) -> None:
    faces = detection_wider(shared_data)
    assert (len(faces), len(detection_wider(shared_data, smallest=40))) == (97, 165)
    assert faces.points.shape == (97, 0, 2)
    height, width, _ = faces.images[0].shape
    assert (faces.boxes[0] > 0).all()
    assert (faces.boxes[0] < (width, height, width, height)).all()
    all_of_them = detection_wider_scenes(shared_data)
    assert sum(len(boxes) for boxes in all_of_them.boxes) == 253
    assert background_crops(all_of_them, seed=0, per_image=3)[100].shape == (112, 112, 3)


def test_a_wider_box_is_shortened_as_measured(shared_data: Path) -> None:
    labels = read_labels(shared_data / "train98" / "wider_labels.npz")
    x, y, width, height = labels["face_box_xywh"].T
    low, high = labels["pts98"].min(1), labels["pts98"].max(1)
    assert np.median((low[:, 1] - y) / height) == pytest.approx(LANDMARK_TOP, abs=1e-3)
    for other, expected in (
        ((high[:, 1] - y) / height, 1),
        ((low[:, 0] - x) / width, 0),
        ((high[:, 0] - x) / width, 1),
    ):
        assert np.median(other) == pytest.approx(expected, abs=0.01)
    crops = [box_around(np.stack(corners)) for corners in zip(low, high, strict=True)]
    boxes = np.stack((x, y, x + width, y + height), -1).astype(np.float32)
    for given, median in ((landmark_boxes(boxes), 0.885), (boxes, 0.636)):
        found = [box_around(box.reshape(2, 2)) for box in given]
        ious = [overlap(a, b) for a, b in zip(found, crops, strict=True)]
        assert np.median(ious) == pytest.approx(median, abs=2e-3)
