"""Each deployment rewrite alone, then all together, equal to the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from atpn_deploy.blocks import ConvNormAct, CoordConv, CoordDepthwiseHead
from atpn_deploy.config import ATPN_CONFIG, ATPN_LITE_CONFIG, ATPNConfig
from atpn_deploy.folding import (
    FoldedATPN,
    FoldedConv,
    FoldedCoordConv,
    FoldedHead,
    fold_batch_norm,
)
from atpn_deploy.model import ATPN

Reference = Callable[[str | ATPNConfig], ATPN]
M = TypeVar("M", bound=nn.Module)

ABLATIONS: tuple[dict[str, Any], ...] = (
    {"low_level_features": False},
    {"multiview": False},
    {"coord_conv": False},
    {"feature_sharing": False},
    {"heatmap": False},
    {"landmark_count": 68},
)
CONFIGS = {
    f"{base.name} {change}": replace(base, **change)
    for base in (ATPN_CONFIG, ATPN_LITE_CONFIG)
    for change in ({}, *ABLATIONS)
}


def trained(module: M) -> M:
    """Give batch norms and linear layers numbers as training leaves them."""
    torch.manual_seed(3)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, 0.3)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias, 0, 0.5)
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 2)
            part.running_var.uniform_(0.05, 4)
    return module.eval().requires_grad_(False)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def photographs(count: int = 2) -> Tensor:
    """Crops whose borders are as bright as their middle."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 112, 112, 3), generator=generator).float()


def assert_equal(actual: Tensor, expected: Tensor, atol: float = 2e-5) -> None:
    assert expected.std() > 0.01, "a constant output would hide an error"
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("act", [None, "relu", "hard_swish"])
def test_batch_norm_folds_into_its_convolution(groups: int, act: Any) -> None:
    block = trained(ConvNormAct(8, 16, 3, stride=2, groups=groups, act=act))
    x = noise(2, 8, 9, 9)
    assert_equal(FoldedConv(block)(x), block(x))


def test_a_batch_norm_without_statistics_is_refused() -> None:
    block = ConvNormAct(3, 4, 1)
    block.norm = nn.BatchNorm2d(4, track_running_stats=False)
    with pytest.raises(TypeError, match="running statistics"):
        fold_batch_norm(block)


@pytest.mark.parametrize(("side", "stride"), [(28, 4), (14, 2), (7, 1)])
def test_coordinate_planes_become_a_constant_map(side: int, stride: int) -> None:
    block = trained(CoordConv(5, 6, side=side, stride=stride, act="hard_swish", coords=True))
    folded = FoldedCoordConv(block)
    x = noise(2, 5, side, side)
    assert_equal(folded(x), block(x))
    # At the border the planes meet the padding: there the map is no linear ramp.
    slope = folded.offset[0].diff(dim=-1)
    assert not torch.allclose(slope[..., 0], slope[..., 1], atol=1e-4)


@pytest.mark.parametrize("coords", [True, False])
def test_the_depthwise_head_takes_its_coordinates_into_the_bias(coords: bool) -> None:
    block = trained(CoordDepthwiseHead(6, 10, side=7, coords=coords))
    folded = FoldedHead(block)
    x = noise(3, 6, 7, 7)
    assert_equal(folded(x), block(x))
    assert folded.depthwise.get_parameter("weight").shape == (6, 1, 7, 7)


def test_the_scaling_folds_into_the_stem_borders_included(reference: Reference) -> None:
    model = reference("atpn")
    image = torch.full((1, 112, 112, 3), 255.0)
    image[:, 1:-1, 1:-1] = photographs(1)[:, 1:-1, 1:-1]
    expected = model.low.stem(model.planar(image))
    actual = FoldedATPN(model).get_submodule("low.stem")(image.permute(0, 3, 1, 2))
    assert_equal(actual, expected)
    assert_equal(actual[..., 0, :], expected[..., 0, :])


def test_two_classes_become_one_sigmoid(reference: Reference) -> None:
    model = reference("atpn-lite")
    features, heat = noise(4, 24, 28, 28).relu() * 40, torch.ones(4, 1, 28, 28)
    logits = model.tracking(torch.zeros(4, 3, 112, 112), features, heat)  # (4, 2)
    difference = FoldedATPN(model).tracking(torch.zeros(4, 3, 112, 112), features, heat)  # (4, 1)
    torch.testing.assert_close(difference, logits[:, 1:] - logits[:, :1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        torch.sigmoid(difference), logits.softmax(-1)[:, 1:], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_whole_equals_the_reference(reference: Reference, config: ATPNConfig) -> None:
    model = reference(config)
    images = photographs()
    expected = model(images)
    actual = FoldedATPN(model)(images)
    assert set(actual) == set(expected)
    for name, value in actual.items():
        # Random weights magnify the rounding of float32; a wrong rewrite is off by 0.01 and more.
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-3, msg=name)


def test_an_align_file_computes_landmarks_alone(reference: Reference) -> None:
    model = reference("atpn-lite")
    images = photographs()
    actual = FoldedATPN(model, "align")(images)
    assert set(actual) == {"landmarks"}
    torch.testing.assert_close(actual["landmarks"], model(images)["landmarks"], rtol=0, atol=1e-4)


def test_no_batch_norm_and_no_coordinate_plane_is_left(reference: Reference) -> None:
    folded = FoldedATPN(reference("atpn"))
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d | ConvNormAct)]
    assert not [name for name, _ in folded.named_buffers() if name.endswith("planes")]


def test_folding_leaves_the_reference_as_it_was(reference: Reference) -> None:
    model = reference("atpn")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    FoldedATPN(model)
    after = model.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
