"""Training a stage: exact resume, frozen parts, the average at the end, a loss that is NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from atpn_deploy.config import ATPN_LITE_CONFIG, ATPNConfig
from atpn_deploy.errors import TrainingError
from atpn_deploy.model import ATPN
from atpn_deploy.training import loop
from atpn_deploy.training.loop import Progress, Run, train_stage
from atpn_deploy.training.processes import Process
from atpn_deploy.training.stages import Decay, Stage, stage_loss

TRAINED = {1: ("low.", "high.", "alignment."), 2: ("tracking.",), 3: ("pose.",)}
OWN_STEMS = replace(ATPN_LITE_CONFIG, feature_sharing=False)


class KilledError(Exception):
    """Stands for the end of the process."""


def stage(number: int, steps: int) -> Stage:
    return Stage(
        number,
        4 * steps,
        batch_size=4,
        settling_samples=128,
        negative_share=0.5 if number == 2 else 0.0,
    )


def state(model: ATPN) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def killed_at(last: int) -> Progress:
    def progress(step: int, loss: float, rate: float) -> None:
        if step == last:
            raise KilledError

    return progress


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "stage.safetensors")


def content(run: Run) -> tuple[dict[str, str], dict[str, bytes]]:
    """Metadata and tensors of a checkpoint; the file's own order of its metadata is random."""
    with safe_open(run.checkpoint, "np") as file:
        return file.metadata(), {name: file.get_tensor(name).tobytes() for name in file.keys()}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_killed_run_resumes_to_the_same_bits(
    tmp_path: Path, make_network, make_sampler, number: int
) -> None:
    plan = stage(number, 5)
    straight, resumed = Run(tmp_path / "straight"), Run(tmp_path / "resumed", save_every=2)
    expected, model = make_network(), make_network()
    train_stage(expected, plan, make_sampler(), straight)

    with pytest.raises(KilledError):
        train_stage(make_network(), plan, make_sampler(), resumed, killed_at(3))
    assert content(resumed)[1] != content(straight)[1]
    steps: list[int] = []
    train_stage(
        model,
        plan,
        make_sampler(),
        replace(resumed, loaders=2),
        lambda step, loss, rate: steps.append(step),
    )

    assert steps == [2, 3, 4]
    # Weights, statistics, Adam's moments and the average; then what the stage made of them.
    assert content(resumed) == content(straight)
    assert changed(state(expected), state(model)) == set()


@pytest.mark.parametrize("config", [ATPN_LITE_CONFIG, OWN_STEMS], ids=["shared", "own stems"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_stage_changes_its_own_part_alone(
    run: Run, make_network, make_sampler, number: int, config: ATPNConfig
) -> None:
    model = make_network(config)
    before = state(model)
    train_stage(model, stage(number, 2), make_sampler(), run)
    moved = changed(before, state(model))
    own = {name for name in before if name.startswith(TRAINED[number])}
    assert moved <= own
    assert moved == own - {"alignment.s0"}  # batch norm's running statistics included


def test_a_finished_stage_is_loaded_and_not_repeated(run: Run, make_network, make_sampler) -> None:
    model, again = make_network(), make_network()
    train_stage(model, stage(2, 2), make_sampler(), run)
    train_stage(again, stage(2, 2), make_sampler(), run, killed_at(0))
    assert changed(state(model), state(again)) == set()


def test_a_finished_stage_leaves_what_was_trained_since(
    run: Run, make_network, make_sampler
) -> None:
    model = make_network()
    train_stage(model, stage(2, 1), make_sampler(), run)
    tracking = state(model)
    train_stage(model, stage(3, 1), make_sampler(), Run(run.checkpoint.with_name("three")))
    both = state(model)
    train_stage(model, stage(2, 1), make_sampler(), run)
    assert changed(both, state(model)) == set()
    assert changed(tracking, both)


def test_a_trained_network_is_left_ready_to_use(run: Run, make_network, make_sampler) -> None:
    model = make_network()
    train_stage(model, stage(1, 1), make_sampler(), run)
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_training_lowers_the_loss(run: Run, make_network, make_sampler) -> None:
    white, black = (np.full((150, 150, 3), level, np.uint8) for level in (255, 0))
    losses: list[float] = []
    train_stage(
        make_network(),
        replace(stage(2, 16), learning_rate=1e-2, settling_samples=0),
        make_sampler(3, images=[white] * 3, negatives=[black[:112, :112]]),
        run,
        lambda step, loss, rate: losses.append(loss),
    )
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])


def convolutions(model: ATPN) -> list[Tensor]:
    """Weights of the pose branch that settling leaves alone."""
    return [p.detach().clone() for p in model.pose.parameters() if p.dim() == 4]


@pytest.mark.parametrize("decay", [0.15, 0.0])
def test_a_stage_ends_with_the_average_of_its_weights(
    run: Run, make_network, make_sampler, decay: float
) -> None:
    model = make_network()
    expected = convolutions(model)

    def by_hand(step: int, loss: float, rate: float) -> None:
        keep = min(decay, (1 + step) / (10 + step))
        for mean, weight in zip(expected, convolutions(model), strict=True):
            mean.mul_(keep).add_(weight, alpha=1 - keep)

    train_stage(
        model, replace(stage(3, 4), average=decay, settling_samples=0), make_sampler(), run, by_hand
    )
    for mean, weight in zip(expected, convolutions(model), strict=True):
        torch.testing.assert_close(weight, mean, rtol=0, atol=1e-6)


def first_step(model: ATPN, sampler, run: Run, optimiser, decay: float) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """How far one step at rate 0.1 moves the pose branch's convolutions."""
    before = convolutions(model)
    one = replace(stage(3, 1), average=0.0, schedule=Decay(0.0, 1), settling_samples=0)
    one = replace(one, learning_rate=0.1, optimiser=optimiser, weight_decay=decay)
    train_stage(model, one, sampler, run)
    return [after - was for was, after in zip(before, convolutions(model), strict=True)]


def test_adam_has_the_l2_term_in_its_gradient(run: Run, make_network, make_sampler) -> None:
    # Equations 4, 6 and 8. Adam's first step is the rate times the gradient's sign; so large a
    # term decides the sign alone, and how large it is makes no difference.
    moves = first_step(make_network(), make_sampler(), run, "adam", 1e6)
    for move, weight in zip(moves, convolutions(make_network()), strict=True):
        torch.testing.assert_close(move, -0.1 * weight.sign(), rtol=0, atol=1e-3)


def test_adamw_keeps_the_decay_apart(run: Run, make_network, make_sampler) -> None:
    moves = first_step(make_network(), make_sampler(), run, "adamw", 5.0)
    for move, weight in zip(moves, convolutions(make_network()), strict=True):
        assert ((move + 0.1 * 5.0 * weight).abs() <= 0.1 + 1e-6).all()


def test_the_rate_is_that_of_the_schedule(run: Run, make_network, make_sampler) -> None:
    plan = replace(stage(3, 6), schedule=Decay(0.5, 1), learning_rate=0.5, settling_samples=0)
    rates: list[float] = []
    sampler = make_sampler(8)
    train_stage(make_network(), plan, sampler, run, lambda step, loss, rate: rates.append(rate))
    assert rates == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]  # 8 faces, 4 a step


def spoilt(at: int, spoil: Callable[[ATPN, Tensor], Tensor]) -> Callable[..., Tensor]:
    """`stage_loss` whose call number `at` is spoilt."""
    calls: list[int] = []

    def loss(model: ATPN, plan: Stage, batch: object) -> Tensor:
        calls.append(0)
        value = stage_loss(model, plan, batch)  # type: ignore[arg-type]
        return spoil(model, value) if len(calls) == at + 1 else value

    return loss


def no_slope(model: ATPN, value: Tensor) -> Tensor:
    """The same loss with a gradient that is no number: the slope of a root at zero."""
    weight = next(model.pose.parameters())
    return value + (0 * weight).sqrt().nan_to_num().sum() * 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model, value: value * float("nan"), "the loss is nan and its gradient nan"),
        (lambda model, value: value * float("inf"), "the loss is inf"),
        (no_slope, r"the loss is 0\.\d+ and its gradient nan"),
    ],
    ids=["nan", "infinity", "gradient"],
)
def test_a_loss_that_is_no_number_stops_before_the_optimiser(
    run: Run, make_network, make_sampler, monkeypatch: pytest.MonkeyPatch, spoil, said: str
) -> None:
    model, run = make_network(), replace(run, save_every=1)
    good: dict[str, Tensor] = {}
    monkeypatch.setattr(loop, "stage_loss", spoilt(2, spoil))
    with pytest.raises(TrainingError, match=said) as stopped:
        train_stage(
            model,
            stage(3, 4),
            make_sampler(),
            run,
            lambda step, loss, rate: good.update(dict(enumerate(convolutions(model)))),  # type: ignore[call-overload]
        )
    assert "at step 2, seed 3, on " in str(stopped.value)
    assert "\n" not in str(stopped.value)
    for index, weight in enumerate(convolutions(model)):
        assert torch.equal(weight, good[index])  # type: ignore[index]

    steps: list[int] = []
    monkeypatch.undo()
    train_stage(make_network(), stage(3, 4), make_sampler(), run, lambda s, *_: steps.append(s))
    assert steps == [2, 3]  # the last checkpoint has survived


def test_the_faces_whose_labels_are_no_numbers_are_named(
    run: Run, make_network, make_sampler
) -> None:
    with pytest.raises(TrainingError, match=r"at step 0, seed 3, on b; lower the learning rate"):
        train_stage(make_network(), stage(1, 2), make_sampler(nan="b"), run)
    assert not run.checkpoint.exists()


def test_of_many_faces_three_are_named(run: Run, make_network, make_sampler) -> None:
    model = make_network()
    model.alignment.s0.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"on \w, \w, \w and 1 more;"):
        train_stage(model, stage(1, 2), make_sampler(4), run)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_bfloat16_trains_and_leaves_float32(
    run: Run, make_network, make_sampler, number: int
) -> None:
    full: list[float] = []
    half: list[float] = []
    model, one = make_network(), stage(number, 1)
    train_stage(make_network(), one, make_sampler(), run, lambda s, loss, rate: full.append(loss))
    train_stage(
        model,
        stage(number, 2),
        make_sampler(),
        replace(run, checkpoint=run.checkpoint.with_name("half"), bfloat16=True),
        lambda step, loss, rate: half.append(loss),
    )
    assert half[0] == pytest.approx(full[0], rel=0.05)
    assert half[0] != full[0]
    assert np.isfinite(half).all()
    for tensor in state(model).values():
        assert tensor.dtype in (torch.float32, torch.int64)
        assert tensor.isfinite().all()


def test_processes_that_can_not_share_a_batch_evenly_are_refused(
    run: Run, make_network, make_sampler
) -> None:
    with pytest.raises(TrainingError, match="3 processes can't share batches of 4 evenly"):
        train_stage(
            make_network(), stage(3, 1), make_sampler(), replace(run, process=Process(0, 3))
        )
