"""What int8 does to one module alone, on networks whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_deploy.parity import Limit
from atpn_exporters.recipes.sensitivity import (
    Simulation,
    blocks_of,
    rank,
    rounded,
    with_rounded_weights,
)
from atpn_exporters.target import PlannedOperator

if TYPE_CHECKING:
    from torch import Tensor, nn

    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch")

LIMITS = (Limit("landmarks", "mean", 0.5, "px", ""),)


def test_values_are_rounded_to_steps_with_zero_among_them() -> None:
    import torch

    values = torch.tensor([-0.3, 0.0, 0.004, 1.0, 2.0])
    result = rounded(values, (0.1, 1.0))  # widened to zero: steps of 1/255
    torch.testing.assert_close(result * 255, torch.tensor([0.0, 0.0, 1.0, 255.0, 255.0]))
    torch.testing.assert_close(rounded(values, (0.0, 0.0)), values)


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_weights_are_rounded_by_output_channel(kind: str) -> None:
    import torch
    from torch import nn

    layer = nn.Conv2d(2, 3, 1) if kind == "conv" else nn.ConvTranspose2d(2, 3, 1)
    channel = 0 if kind == "conv" else 1
    scales = torch.tensor([1.0, 1e-3, 1e3]).reshape((3, 1, 1, 1) if channel == 0 else (1, 3, 1, 1))
    layer.weight.data *= scales
    off = (with_rounded_weights(layer, kind).weight - layer.weight).abs()
    largest = layer.weight.abs().amax([axis for axis in range(4) if axis != channel], keepdim=True)
    assert (off <= largest / 254 * 1.001).all()  # half of one step of its own channel
    assert off.max() > 0


def two_layers() -> nn.Module:
    """Two layers: `harsh` has one weight that swallows the steps of the others, `mild` has not."""
    import torch
    from torch import nn

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.harsh = nn.Conv2d(3, 3, 1)
            self.mild = nn.Conv2d(3, 196, 1)

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            x = image.permute(0, 3, 1, 2).mean((2, 3), keepdim=True) / 255
            return {"landmarks": self.mild(self.harsh(x)).reshape(-1, 98, 2) + 0.5}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Two().eval().requires_grad_(False)
    network.harsh.weight[:, 0] = 0.0  # of the channels that the crops use only the third counts
    network.harsh.weight[:, 1] = 300.0
    return network


def plan(*, harsh_in_float: bool = False) -> list[PlannedOperator]:
    return [
        PlannedOperator("harsh", "harsh/out", harsh_in_float),
        PlannedOperator("mild", "mild/out", False),
    ]


def crops() -> np.ndarray:
    """(9, 112, 112, 3): nothing but blue."""
    images = np.zeros((9, 112, 112, 3), np.uint8)
    images[..., 2] = np.arange(9)[:, None, None] * 30
    return images


def test_the_module_that_int8_hurts_most_comes_first() -> None:
    simulation = Simulation(two_layers(), crops(), plan(), {})
    [first, second] = rank(simulation, ["mild", "harsh"], LIMITS, np.ones(9, bool))
    assert first.module == "harsh"
    assert first.share > 5 * second.share > 0
    assert first.share == pytest.approx(first.errors["landmarks, mean px"] / 0.5)
    assert first.multiply_adds == 9


def test_what_the_target_leaves_in_float_harms_nothing() -> None:
    in_float = [PlannedOperator(op.module, op.tensor, True) for op in plan()]
    simulation = Simulation(two_layers(), crops(), in_float, {})
    assert [d.share for d in rank(simulation, ["harsh"], LIMITS, np.ones(9, bool))] == [0]


def test_what_only_moves_or_adds_to_a_float_result_is_float_too() -> None:
    # Of the mean, the scaling and the output no operator of the plan tells.
    in_float = [PlannedOperator("mild", "mild/out", True), PlannedOperator("harsh", "h", False)]
    simulation = Simulation(two_layers(), crops(), in_float, {})
    assert [d.share for d in rank(simulation, ["mild"], LIMITS, np.ones(9, bool))] == [0]


def test_calibrated_ranges_are_used_by_name() -> None:
    clipped = Simulation(two_layers(), crops(), plan(), {"mild/out": (0.0, 1e-6)})
    values = clipped.quantised("mild")["landmarks"]
    np.testing.assert_allclose(values, 0.5, atol=1.1e-6)


def test_blocks_cover_every_weight_once(reference: Callable[[str], ATPN]) -> None:
    from atpn_deploy.folding import FoldedATPN

    network = FoldedATPN(reference("atpn"), "full")
    blocks = blocks_of(network)
    assert {"low.stem", "high.mid.0", "alignment.coord.2", "pose.head", "heatmap"} <= set(blocks)
    for name, _ in network.named_parameters():
        assert sum(name.startswith(block + ".") for block in blocks) == 1, name
