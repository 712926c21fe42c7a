"""Training crops: repeatable, and labels that stay on the features that they name."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.datasets.augment import Augmentation, Batch, Sampler
from atpn_deploy.datasets.faces import FaceSet, boxes_of, concatenate
from atpn_deploy.mean_shape import mean_shape, mirror_map

LEFT, RIGHT = 60, 72  # outer eye corners: red and green dots
CLEAN = Augmentation(blur=0, occlusion=0, grey=0, mixup=0, noise=0)
YAW, PITCH = 0.4, 0.1
Image = NDArray[np.uint8]


def dotted_face(side: int) -> tuple[Image, NDArray[np.float32]]:
    """A dark image of an upright mean face: left eye corner a red dot, right a green one."""
    points = np.rint(mean_shape(98).numpy() * side + side / 2).astype(np.float32)
    image = np.zeros((2 * side, 2 * side, 3), np.uint8)
    reach = max(2, side // 40)
    for channel, index in enumerate((LEFT, RIGHT)):
        x, y = points[index].astype(int)
        image[y - reach : y + reach, x - reach : x + reach, channel] = 255
    return image, points


def faces(side: int = 120) -> FaceSet:
    image, points = dotted_face(side)
    weights = np.ones((1, 98), np.float32)
    weights[0, LEFT], weights[0, RIGHT] = 0.25, 0.75
    return face_set(image, points, weights)


def face_set(image: Image, points: NDArray[np.float32], weights: NDArray[np.float32]) -> FaceSet:
    pose = np.array([[YAW, PITCH, 0]], np.float32)
    boxes = boxes_of(points[None], np.ones((1, 98), np.float32))
    return FaceSet([image], boxes, points[None], weights, pose, ("a face",))


def backgrounds() -> list[Image]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(3)]


def sampler(side: int = 120, augmentation: Augmentation = CLEAN, seed: int = 1) -> Sampler:
    return Sampler(faces(side), backgrounds(), augmentation, seed=seed)


def same(one: Batch, other: Batch) -> bool:
    return one.names == other.names and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(arrays(one).values(), arrays(other).values(), strict=True)
    )


def arrays(batch: Batch) -> dict[str, NDArray[np.generic]]:
    return {name: value for name, value in vars(batch).items() if isinstance(value, np.ndarray)}


def dot(crop: Image, channel: int) -> NDArray[np.float64]:
    """Centre of the dot in one channel, in fractions of the crop."""
    values = crop[..., channel].astype(float)
    values = np.clip(values - (values.max() + np.median(values)) / 2, 0, None)
    centres = (np.arange(112) + 0.5) / 112
    moments = np.array((values.sum(0) @ centres, values.sum(1) @ centres))
    return np.asarray(moments / values.sum())


def test_the_same_seed_and_step_give_the_same_batch() -> None:
    everything = Augmentation(blur=1, occlusion=1, grey=0.5, mixup=1, noise=1)
    first = sampler(augmentation=everything).batch(7, 6, negative_share=0.5)
    again = sampler(augmentation=everything)
    again.batch(3, 2)  # what was drawn before does not matter
    assert same(again.batch(7, 6, negative_share=0.5), first)
    assert not same(again.batch(8, 6, negative_share=0.5), first)
    assert not same(sampler(augmentation=everything, seed=2).batch(7, 6, negative_share=0.5), first)


def test_a_batch_has_the_stated_shapes() -> None:
    batch = sampler().batch(0, 5, negative_share=0.4)
    shapes = {name: (array.shape, array.dtype.name) for name, array in arrays(batch).items()}
    assert shapes == {
        "image": ((5, 112, 112, 3), "uint8"),
        "points": ((5, 98, 2), "float32"),
        "weights": ((5, 98), "float32"),
        "pose": ((5, 3), "float32"),
        "is_face": ((5,), "bool"),
    }


def test_a_negative_teaches_neither_points_nor_pose() -> None:
    batch = sampler(augmentation=Augmentation()).batch(0, 10, negative_share=0.6)
    assert batch.is_face.sum() == 4
    assert not batch.weights[~batch.is_face].any()
    assert np.isnan(batch.pose[~batch.is_face]).all()
    assert np.isfinite(batch.pose[batch.is_face]).all()


def test_posed_batches_hold_known_poses_alone() -> None:
    unknown = replace(faces(), pose=np.full((1, 3), np.nan, np.float32))
    mixed = Sampler(concatenate((unknown, faces())), backgrounds(), CLEAN, seed=1)
    assert np.isfinite(mixed.batch(0, 12, posed=True).pose).all()
    assert np.isnan(mixed.batch(0, 12).pose).any()


def test_drawing_changes_none_of_the_labels() -> None:
    drawn, untouched = sampler(), faces()
    drawn.batch(0, 8)
    for name in ("points", "weights", "pose"):
        assert np.array_equal(getattr(drawn.faces, name), getattr(untouched, name))
    assert np.array_equal(drawn.faces.images[0], untouched.images[0])


@pytest.mark.parametrize("side", [60, 120, 400])
def test_points_weights_and_pose_stay_on_their_features(side: int) -> None:
    """Turned, shifted, scaled and flipped: the label follows the dot, to a fraction of a pixel."""
    batch = sampler(side).batch(0, 32)
    flips = 0
    for crop, points, weights, pose in zip(
        batch.image, batch.points, batch.weights, batch.pose, strict=True
    ):
        red, green = dot(crop, 0), dot(crop, 1)
        flipped = red[0] > green[0]
        flips += flipped
        left, right = (green, red) if flipped else (red, green)
        np.testing.assert_allclose(points[LEFT] * 112, left * 112, atol=0.35)
        np.testing.assert_allclose(points[RIGHT] * 112, right * 112, atol=0.35)
        assert (weights[LEFT], weights[RIGHT]) == ((0.75, 0.25) if flipped else (0.25, 0.75))
        eyes = points[RIGHT] - points[LEFT]
        expected = (-YAW if flipped else YAW, PITCH, math.atan2(eyes[1], eyes[0]))
        np.testing.assert_allclose(pose, expected, atol=0.02)
    assert 4 < flips < 28


def test_every_flipped_point_keeps_its_place_in_the_face() -> None:
    """The mean face is symmetric: undone turn and scale, each crop's points are the mean face."""
    shape = mean_shape(98).numpy().astype(float)
    shape = shape @ (1, 1j)
    for points in sampler().batch(0, 16).points.astype(float) @ (1, 1j):
        turned = (points - points.mean()) / (points[RIGHT] - points[LEFT])
        expected = (shape - shape.mean()) / (shape[RIGHT] - shape[LEFT])
        assert np.abs(turned - expected).max() < 0.03


def test_the_mirror_map_swaps_the_dots() -> None:
    assert mirror_map(98)[LEFT] == RIGHT


def test_crops_stray_no_further_than_they_may() -> None:
    exact = Augmentation(
        shift=0, scale=(1, 1), rotation_deg=0, blur=0, occlusion=0, grey=0, mixup=0, noise=0
    )
    for points in sampler(augmentation=exact).batch(0, 6).points:
        low, high = points.min(0), points.max(0)
        np.testing.assert_allclose((low + high) / 2, 0.5, atol=1e-4)
        assert (high - low).max() == pytest.approx(1 / 1.5, abs=1e-4)


def test_a_large_face_is_averaged_and_not_decimated() -> None:
    image, points = dotted_face(600)
    image[...] = (np.indices(image.shape[:2]).sum(0) % 2 * 255)[..., None]  # a checkerboard
    large = face_set(image, points, np.ones((1, 98), np.float32))
    for crop in Sampler(large, backgrounds(), CLEAN, seed=1).batch(0, 6).image:
        assert crop[30:80, 30:80].std((0, 1)).max() < 30  # decimated, it is above 60
