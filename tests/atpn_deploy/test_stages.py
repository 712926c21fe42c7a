"""A training stage: exact resume, frozen parts, schedule and its refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atpn_deploy.config import ATPN_CONFIG, ATPN_LITE_CONFIG, ATPNConfig
from atpn_deploy.datasets.augment import Augmentation, Sampler
from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.errors import TrainingError
from atpn_deploy.mean_shape import mean_shape
from atpn_deploy.model import ATPN
from atpn_deploy.training import stages
from atpn_deploy.training.stages import Stage, train_stage

TRAINED = {1: ("low.", "high.", "alignment."), 2: ("tracking.",), 3: ("pose.",)}
OWN_STEMS = replace(ATPN_LITE_CONFIG, feature_sharing=False)


class KilledError(Exception):
    """Stands for the end of the process."""


def network(config: ATPNConfig = ATPN_LITE_CONFIG) -> ATPN:
    torch.manual_seed(1)
    return ATPN(config)


def sampler() -> Sampler:
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(3)]
    points = np.repeat((mean_shape(98).numpy() * 150)[None], 3, 0)
    weights = np.ones((3, 98), np.float32)
    pose = rng.normal(0, 0.3, (3, 3)).astype(np.float32)
    negatives = [rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(2)]
    return Sampler(FaceSet(images, points, weights, pose), negatives, Augmentation(), seed=3)


def stage(number: int, steps: int) -> Stage:
    return Stage(
        number,
        4 * steps,
        batch_size=4,
        settling_samples=256,
        negative_share=0.5 if number == 2 else 0.0,
    )


def state(model: ATPN) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def killed_at(last: int) -> stages.Progress:
    def progress(step: int, loss: float) -> None:
        if step == last:
            raise KilledError

    return progress


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path, number: int) -> None:
    plan, straight, resumed = stage(number, 5), tmp_path / "straight", tmp_path / "resumed"
    train_stage(network(), plan, sampler(), straight, save_every=2)

    with pytest.raises(KilledError):
        train_stage(network(), plan, sampler(), resumed, save_every=2, progress=killed_at(3))
    assert resumed.read_bytes() != straight.read_bytes()
    steps: list[int] = []
    train_stage(network(), plan, sampler(), resumed, progress=lambda step, loss: steps.append(step))

    assert steps == [2, 3, 4]
    assert resumed.read_bytes() == straight.read_bytes()  # weights, statistics, Adam's moments


@pytest.mark.parametrize("config", [ATPN_LITE_CONFIG, OWN_STEMS], ids=["shared", "own stems"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_stage_changes_its_own_part_alone(
    tmp_path: Path, number: int, config: ATPNConfig
) -> None:
    model = network(config)
    before = state(model)
    train_stage(model, stage(number, 2), sampler(), tmp_path / "checkpoint")
    moved = changed(before, state(model))
    own = {name for name in before if name.startswith(TRAINED[number])}
    assert moved <= own
    assert moved == own - {"alignment.s0"}  # batch norm's running statistics included


def test_a_finished_stage_is_loaded_and_not_repeated(tmp_path: Path) -> None:
    model = network()
    train_stage(model, stage(2, 2), sampler(), tmp_path / "checkpoint")
    again = network()
    train_stage(again, stage(2, 2), sampler(), tmp_path / "checkpoint", progress=killed_at(0))
    assert changed(state(model), state(again)) == set()


def test_a_trained_network_is_left_ready_to_use(tmp_path: Path) -> None:
    model = network()
    train_stage(model, stage(1, 1), sampler(), tmp_path / "checkpoint")
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    train_stage(
        network(),
        replace(stage(3, 30), learning_rate=1e-2),
        sampler(),
        tmp_path / "checkpoint",
        progress=lambda step, loss: losses.append(loss),
    )
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])


def test_a_save_that_is_cut_short_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "checkpoint"
    train_stage(network(), stage(3, 1), sampler(), checkpoint)
    whole = checkpoint.read_bytes()

    def half(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        Path(path).write_bytes(whole[:1000])
        raise KilledError

    monkeypatch.setattr(stages, "save_file", half)
    with pytest.raises(KilledError):
        train_stage(network(), stage(3, 2), sampler(), checkpoint)
    assert checkpoint.read_bytes() == whole


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = network()
    model.alignment.s0.fill_(float("nan"))
    with pytest.raises(TrainingError, match="stage 1: the loss is nan at step 0"):
        train_stage(model, stage(1, 2), sampler(), tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    train_stage(network(), stage(3, 1), sampler(), tmp_path / "checkpoint")
    with pytest.raises(TrainingError, match="another network than atpn"):
        train_stage(network(ATPN_CONFIG), stage(3, 2), sampler(), tmp_path / "checkpoint")


def test_the_rate_warms_up_and_falls_to_nothing_as_a_cosine() -> None:
    plan = Stage(1, 32 * 1000, learning_rate=1.0)
    assert plan.steps == 1000
    assert plan.rate(0) == pytest.approx(1 / 30)
    assert plan.rate(29) == pytest.approx(1)
    assert plan.rate(30) == pytest.approx(1)
    assert plan.rate(30 + 485) == pytest.approx(0.5)
    assert 0 < plan.rate(999) < 1e-5
