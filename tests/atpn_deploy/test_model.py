"""The network: the paper's totals, its ablations, its shapes and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atpn_deploy.config import ATPN_CONFIG, CONFIGS, ATPNConfig
from atpn_deploy.folding import FoldedATPN
from atpn_deploy.mean_shape import mean_shape
from atpn_deploy.model import ATPN

Reference = Callable[[str | ATPNConfig], ATPN]

ABLATIONS: dict[str, dict[str, Any]] = {
    "without low-level features": {"low_level_features": False},
    "without multiview": {"multiview": False},
    "without CoordConv": {"coord_conv": False},
    "without feature sharing": {"feature_sharing": False},
    "without heat map": {"heatmap": False},
    "68 points": {"landmark_count": 68},
}


def images(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 112, 112, 3), generator=generator).float()


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def multiply_adds(module: nn.Module, *inputs: Tensor) -> float:
    """Convolutions and linear layers, one multiply-add as one, as fvcore counts them."""
    fvcore = pytest.importorskip("fvcore.nn")
    count = fvcore.FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False)
    by_operator = count.uncalled_modules_warnings(False).by_operator()
    return float(by_operator["conv"] + by_operator["linear"])


def test_backbone_and_alignment_have_the_published_totals(reference: Reference) -> None:
    folded = FoldedATPN(reference("atpn"), "align")
    assert parameters(folded.low, folded.high, folded.alignment) == pytest.approx(1.1e6, rel=0.02)
    assert multiply_adds(folded, images(1)) == pytest.approx(0.06e9, rel=0.02)


@pytest.mark.parametrize("branch", ["tracking", "pose"])
def test_a_task_branch_has_the_published_totals(reference: Reference, branch: str) -> None:
    module = FoldedATPN(reference("atpn")).get_submodule(branch)
    inputs = images(1).permute(0, 3, 1, 2), torch.zeros(1, 24, 28, 28), torch.ones(1, 1, 28, 28)
    assert parameters(module) == pytest.approx(0.19e6, rel=0.02)
    assert multiply_adds(module, *inputs) == pytest.approx(0.017e9, rel=0.02)


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_have_the_contract_s_shapes_and_ranges(reference: Reference, name: str) -> None:
    outputs = reference(name)(images())
    assert {key: tuple(value.shape) for key, value in outputs.items()} == {
        "landmarks": (3, 98, 2),
        "pose": (3, 3),
        "confidence": (3, 1),
    }
    assert all(torch.isfinite(value).all() for value in outputs.values())
    assert outputs["pose"].abs().max() <= math.pi
    assert outputs["confidence"].min() >= 0
    assert outputs["confidence"].max() <= 1


@pytest.mark.parametrize("name", CONFIGS)
def test_every_output_varies_with_the_image(reference: Reference, name: str) -> None:
    for value in reference(name)(images()).values():
        assert value.std(0).max() > 1e-5


def test_lite_has_neither_hard_swish_nor_attention(reference: Reference) -> None:
    def kinds(name: str) -> set[str]:
        return {type(module).__name__ for module in reference(name).modules()}

    assert {"Hardswish", "SqueezeExcite"} <= kinds("atpn")
    assert not {"Hardswish", "SqueezeExcite"} & kinds("atpn-lite")


@pytest.mark.parametrize("change", ABLATIONS.values(), ids=ABLATIONS)
def test_an_ablation_runs(reference: Reference, change: dict[str, Any]) -> None:
    config = replace(ATPN_CONFIG, **change)
    outputs = reference(config)(images())
    assert outputs["landmarks"].shape == (3, config.landmark_count, 2)
    assert all(torch.isfinite(value).all() for value in outputs.values())


def test_without_low_level_features_alignment_sees_only_the_coarsest_level() -> None:
    full, ablated = ATPN(ATPN_CONFIG), ATPN(replace(ATPN_CONFIG, low_level_features=False))
    assert (len(full.alignment.coord), len(ablated.alignment.coord)) == (3, 1)
    low, mid, high = (
        torch.randn(1, 24, 28, 28),
        torch.randn(1, 40, 14, 14),
        torch.randn(1, 96, 7, 7),
    )
    for model, sees in ((full.eval(), True), (ablated.eval(), False)):
        changed = model.alignment(low + 1, mid, high)
        assert torch.equal(model.alignment(low, mid, high), changed) != sees


def test_without_multiview_its_convolutions_are_gone() -> None:
    alignment = ATPN(replace(ATPN_CONFIG, multiview=False)).alignment
    assert parameters(alignment.multiview) == 0
    assert parameters(ATPN(ATPN_CONFIG).alignment.multiview) > 0


def test_without_coord_conv_no_planes_are_appended() -> None:
    def planes(config: ATPNConfig) -> list[str]:
        return [name for name, _ in ATPN(config).named_buffers() if name.endswith("planes")]

    assert len(planes(ATPN_CONFIG)) == 4
    assert planes(replace(ATPN_CONFIG, coord_conv=False)) == []


def test_without_feature_sharing_a_branch_reads_the_image(reference: Reference) -> None:
    model = reference(replace(ATPN_CONFIG, feature_sharing=False))
    planar = model.planar(images(1))
    low, other = torch.zeros(1, 24, 28, 28), torch.ones(1, 24, 28, 28)
    assert torch.equal(model.pose(planar, low, None), model.pose(planar, other, None))
    shared = reference("atpn")
    assert not torch.equal(shared.pose(planar, low, None), shared.pose(planar, other, None))
    assert torch.equal(shared.pose(planar, low, None), shared.pose(planar * 0, low, None))


def test_without_heat_map_pose_does_not_see_the_landmarks(reference: Reference) -> None:
    model = reference(replace(ATPN_CONFIG, heatmap=False))
    assert model.heat(torch.zeros(1, 98, 2)) is None
    assert reference("atpn").heat(torch.zeros(1, 98, 2)) is not None


def test_a_zero_residual_is_the_mean_shape() -> None:
    model = ATPN(ATPN_CONFIG).eval()
    nn.init.zeros_(model.alignment.head.linear.weight)
    nn.init.zeros_(model.alignment.head.linear.bias)
    landmarks = model(images(2))["landmarks"]
    assert torch.equal(landmarks, mean_shape(98).expand(2, -1, -1))


def test_crops_of_a_batch_do_not_see_each_other(reference: Reference) -> None:
    batch = images()
    alone = reference("atpn-lite")(batch[1:2])
    for name, value in reference("atpn-lite")(batch).items():
        torch.testing.assert_close(value[1:2], alone[name], rtol=0, atol=1e-4)


def test_confidence_is_the_second_class(reference: Reference) -> None:
    model = reference("atpn-lite")
    planar = model.planar(images())
    landmarks, low = model.align(planar)
    logits = model.tracking(planar, low, model.heat(landmarks))
    expected = torch.sigmoid(logits[:, 1] - logits[:, 0])[:, None]
    torch.testing.assert_close(model(images())["confidence"], expected)
