"""The heat map against equation 1 written as a loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from atpn_deploy.heatmap import HEATMAP_SIDE, LandmarkHeatmap


def equation_1(points: Tensor, floor: float) -> Tensor:
    """H(x, y) of one face, cell by cell in plain Python; points (N, 2) fractions of the crop."""
    cells = [(float(x) * 28, float(y) * 28) for x, y in points]
    rows = [
        [
            max(floor, 1 / math.sqrt(1 + min(math.dist((c + 0.5, r + 0.5), p) for p in cells)))
            for c in range(28)
        ]
        for r in range(28)
    ]
    return torch.tensor(rows)


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_the_heat_map_is_equation_1(floor: float) -> None:
    points = torch.rand(2, 7, 2, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2
    heat = LandmarkHeatmap(floor)(points)
    assert heat.shape == (2, 1, HEATMAP_SIDE, HEATMAP_SIDE)
    for face, expected in zip(heat, points, strict=True):
        torch.testing.assert_close(face[0], equation_1(expected, floor), rtol=0, atol=1e-5)


def test_x_runs_along_the_row() -> None:
    heat = LandmarkHeatmap(0.0)(torch.tensor([[[20.5 / 28, 3.5 / 28]]]))
    assert heat[0, 0].argmax() == 3 * 28 + 20
    assert heat[0, 0, 3, 20] == pytest.approx(1, abs=1e-3)


def test_far_from_every_point_the_floor_holds() -> None:
    heat = LandmarkHeatmap(0.5)(torch.tensor([[[0.0, 0.0]]]))
    assert heat[0, 0, 27, 27] == 0.5
    assert heat[0, 0, 0, 0] > 0.7


@pytest.mark.parametrize("spread", [1, 10, 100])
def test_half_precision_stays_finite_and_close(spread: float) -> None:
    """In cells, 28 * 28 points of distance 256 already overflow a half: fractions do not."""
    points = (torch.rand(1, 98, 2, generator=torch.Generator().manual_seed(2)) - 0.5) * spread
    half = LandmarkHeatmap(0.5).half()(points.half())
    assert torch.isfinite(half).all()
    torch.testing.assert_close(
        half.float(), LandmarkHeatmap(0.5)(points.half().float()), rtol=0, atol=5e-3
    )
