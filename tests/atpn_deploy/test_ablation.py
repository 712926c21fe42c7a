"""The ablations: the paper's variants, fresh branches on a trained backbone, all three tables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from atpn_deploy.config import ATPN_LITE_CONFIG, ATPNConfig, variant_named
from atpn_deploy.datasets.faces import FaceSet, Image, boxes_of
from atpn_deploy.errors import ConfigError
from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.ablation import modules_of
from atpn_deploy.mean_shape import mean_shape
from atpn_deploy.model import ATPN
from atpn_deploy.training.ablation import ABLATIONS, ablation_named, train_variants
from atpn_deploy.training.processes import Process
from atpn_deploy.training.session import STAGE_1_MODULES, Place, initial_network
from atpn_deploy.training.stages import Stage
from atpn_deploy.weights import open_checkpoint, save_state


@dataclass(frozen=True)
class FewFaces:
    """Stands for TrainingData: two faces of noise."""

    def faces(self, stage: int) -> FaceSet:
        rng = np.random.default_rng(2)
        points = np.repeat((mean_shape(98).numpy() * 150)[None], 2, 0).astype(np.float32)
        weights = np.ones((2, 98), np.float32)
        images = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(2)]
        pose = rng.normal(0, 0.3, (2, 3)).astype(np.float32)
        return FaceSet(images, boxes_of(points, weights), points, weights, pose, ("a", "b"))

    def negatives(self) -> list[Image]:
        return [np.zeros((112, 112, 3), np.uint8)]


@pytest.mark.parametrize(
    ("table", "printed"), [(7, paper.TABLE_7), (8, paper.TABLE_8)], ids=["table 7", "table 8"]
)
def test_the_variants_are_the_papers(table: int, printed: tuple[paper.ModuleRow, ...]) -> None:
    variants = ABLATIONS[table].variants
    assert [name.lower() for name, _ in variants] == [
        row.method.lower().replace("+", " + ").replace("  ", " ") for row in printed
    ]


def test_a_variant_of_table_7_has_one_module_more_than_the_one_before() -> None:
    counts = [
        modules_of(variant_named("atpn", without)) & set(paper.ALIGNMENT_MODULES)
        for _, without in ABLATIONS[7].variants
    ]
    assert [len(modules) for modules in counts] == [0, 1, 2, 3]
    assert [sorted(b - a) for a, b in pairwise(counts)] == [
        ["low_level_features"],
        ["multiview"],
        ["coord_conv"],
    ]


@pytest.mark.parametrize("table", [8, 9])
def test_tables_8_and_9_add_feature_sharing_and_then_the_heat_map(table: int) -> None:
    found = [
        modules_of(variant_named("atpn", without)) & set(paper.BRANCH_MODULES)
        for _, without in ABLATIONS[table].variants
    ]
    assert found == [set(), {"feature_sharing"}, {"feature_sharing", "heatmap"}]


def test_a_variant_is_named_by_what_it_lacks() -> None:
    config = variant_named("atpn-lite", ["heatmap", "coord-conv"], 68)
    assert config.name == "atpn-lite-without-coord-conv-without-heatmap-68"
    assert (config.heatmap, config.coord_conv, config.multiview) == (False, False, True)
    assert config.landmark_count == 68
    assert variant_named("atpn-lite") == ATPN_LITE_CONFIG
    with pytest.raises(ConfigError, match=r"no module is called \['heat'\]; choose from low-level"):
        variant_named("atpn", ["heat"])


def test_an_ablation_of_a_branch_keeps_the_backbone_and_forgets_the_branch(tmp_path: Path) -> None:
    torch.manual_seed(3)
    trained = ATPN(ATPN_LITE_CONFIG)
    start = tmp_path / "atpn-lite.safetensors"
    save_state(trained, start)
    fresh = initial_network(variant_named("atpn-lite", ["heatmap"]), start, 1, STAGE_1_MODULES)
    for name, tensor in fresh.state_dict().items():
        if name.endswith("conv.weight"):
            same = torch.equal(tensor, trained.state_dict()[name])
            assert same == name.startswith(STAGE_1_MODULES), name


def test_every_variant_is_trained_alike_into_a_folder_of_its_own(tmp_path: Path) -> None:
    start = tmp_path / "atpn-lite.safetensors"
    save_state(ATPN(ATPN_LITE_CONFIG), start)
    stage = Stage(2, 8, batch_size=4, negative_share=0.5, settling_samples=0)

    def place(config: ATPNConfig) -> Place:
        folder = tmp_path / config.name
        folder.mkdir()
        return Place(folder, Process(), torch.device("cpu"), False, 1, 500)

    done = list(
        train_variants(ablation_named(9), "atpn-lite", stage, FewFaces(), place, 1, start)  # type: ignore[arg-type]
    )
    assert [name for name, _ in done] == [
        "Baseline",
        "Feature sharing",
        "Feature sharing + heatmap",
    ]
    configs = [open_checkpoint(path).config for _, path in done]
    assert [(c.feature_sharing, c.heatmap) for c in configs] == [
        (False, False),
        (True, False),
        (True, True),
    ]


def test_another_table_is_no_ablation() -> None:
    with pytest.raises(ConfigError, match="table 6 is no ablation; choose one of 7, 8 and 9"):
        ablation_named(6)
