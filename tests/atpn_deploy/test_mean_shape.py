"""The mean shape and its mirror map."""

from __future__ import annotations

import pytest
import torch

from atpn_deploy.crop import MARGIN, box_around
from atpn_deploy.mean_shape import mean_shape, mirror_map

COUNTS = [98, 68]


@pytest.mark.parametrize("count", COUNTS)
def test_the_mirror_of_a_mirror_is_the_point_itself(count: int) -> None:
    mirror = mirror_map(count)
    assert sorted(mirror) == list(range(count))
    assert [mirror[twin] for twin in mirror] == list(range(count))
    assert any(twin != point for point, twin in enumerate(mirror))


@pytest.mark.parametrize("count", COUNTS)
def test_the_mean_face_is_symmetric(count: int) -> None:
    points = mean_shape(count)
    flipped = points[mirror_map(count)] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    torch.testing.assert_close(flipped, points, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("count", "eyes"), [(98, (60, 72)), (68, (36, 45))])
def test_the_mean_face_stands_upright_with_its_eyes_in_order(
    count: int, eyes: tuple[int, int]
) -> None:
    points = mean_shape(count)
    left, right = points[eyes[0]], points[eyes[1]]
    assert left[0] < 0.5 < right[0]
    assert left[1] < points[:, 1].max() - 0.2  # the chin lies well below


def test_the_mean_face_is_framed_as_the_crop_contract_frames_a_face() -> None:
    points = mean_shape(98)
    low, high = points.amin(0), points.amax(0)
    assert low.min() > 0
    assert high.max() < 1
    assert float((high - low).max()) == pytest.approx(1 / (1 + 2 * MARGIN), abs=1e-4)
    box = box_around(points.numpy())
    assert (box.left, box.top, box.side) == pytest.approx((0, 0, 1), abs=1e-4)
