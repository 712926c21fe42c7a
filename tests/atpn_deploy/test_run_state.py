"""Checkpoints of a stage: what a full disk leaves, and which ones are refused."""

from __future__ import annotations

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from atpn_deploy.config import ATPN_CONFIG
from atpn_deploy.errors import TrainingError
from atpn_deploy.training import run_state
from atpn_deploy.training.loop import Run, train_stage
from atpn_deploy.training.run_state import write_whole
from atpn_deploy.training.stages import Stage

STAGE = Stage(3, 4, batch_size=4, settling_samples=0)
TWO_STEPS = replace(STAGE, samples=8)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "stage3.safetensors", save_every=1)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def half_then(error: Exception):  # type: ignore[no-untyped-def]
    def save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata)
        Path(path).write_bytes(Path(path).read_bytes()[:1000])
        raise error

    return save


@pytest.mark.parametrize("where", ["save_file", "replace", "fsync"])
def test_a_full_disk_leaves_the_checkpoint_before(
    run: Run, make_network, make_sampler, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def spoil(step: int, loss: float, rate: float) -> None:
        if step == 1:
            no_room = OSError(errno.ENOSPC, "No space left on device")
            if where == "save_file":
                monkeypatch.setattr(run_state, "save_file", half_then(no_room))
            elif where == "replace":
                monkeypatch.setattr(Path, "replace", full)
            else:
                monkeypatch.setattr(run_state.os, "fsync", full)

    with pytest.raises(TrainingError) as stopped:
        train_stage(make_network(), TWO_STEPS, make_sampler(), run, spoil)
    monkeypatch.undo()
    said = str(stopped.value)
    assert "stage3.safetensors could not be written" in said
    assert "No space left on device" in said
    assert "the one before is still there; make room" in said
    assert "\n" not in said
    assert [path.name for path in run.checkpoint.parent.iterdir()] == ["stage3.safetensors"]

    steps: list[int] = []
    train_stage(make_network(), TWO_STEPS, make_sampler(), run, lambda s, *_: steps.append(s))
    assert steps == [1]


def test_a_full_disk_at_the_first_checkpoint_leaves_nothing(
    run: Run, make_network, make_sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_state, "save_file", full)
    with pytest.raises(TrainingError, match="there is none yet"):
        train_stage(make_network(), STAGE, make_sampler(), run)
    assert list(run.checkpoint.parent.iterdir()) == []


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process grows beyond a thousand bytes.

    Within a test and not round it: pytest's own report may go to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_safetensors_can_not_write_is_an_error_of_training(tmp_path: Path) -> None:
    path = tmp_path / "stage1.safetensors"
    path.write_bytes(b"before")
    with (
        pytest.raises(TrainingError, match=r"stage1\.safetensors could not be written"),
        small_files(),
    ):
        write_whole(path, lambda aside: save_file({"large": torch.zeros(1000)}, aside))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_that_is_killed_leaves_the_last_one(
    run: Run, make_network, make_sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_stage(make_network(), STAGE, make_sampler(), run)
    whole = run.checkpoint.read_bytes()
    monkeypatch.setattr(run_state, "save_file", half_then(KilledError()))
    with pytest.raises(KilledError):
        train_stage(make_network(), STAGE, make_sampler(), replace(run, checkpoint=other(run)))
    with pytest.raises(KilledError):
        write_whole(run.checkpoint, lambda aside: run_state.save_file({}, aside, {}))
    assert run.checkpoint.read_bytes() == whole


def other(run: Run) -> Path:
    return run.checkpoint.with_name("other.safetensors")


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_a_truncated_checkpoint_is_named(run: Run, make_network, make_sampler, kept: int) -> None:
    train_stage(make_network(), STAGE, make_sampler(), run)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:kept])
    with pytest.raises(TrainingError, match=r"stage3\.safetensors can't be read .* remove it"):
        train_stage(make_network(), STAGE, make_sampler(), run)


def test_a_checkpoint_without_a_plan_is_refused(run: Run, make_network, make_sampler) -> None:
    save_file({"weight": torch.zeros(1)}, run.checkpoint)
    with pytest.raises(TrainingError, match=r"stage3\.safetensors holds no training"):
        train_stage(make_network(), STAGE, make_sampler(), run)


@pytest.mark.parametrize(
    ("stage", "faces", "seed", "said"),
    [
        (replace(STAGE, samples=8), 3, 3, "stage.samples 4 there, 8 here;"),
        (replace(STAGE, learning_rate=1.0), 3, 3, "stage.learning_rate 0.002 there, 1.0 here;"),
        (STAGE, 4, 3, "faces 3 there, 4 here;"),
        (STAGE, 3, 4, "seed 3 there, 4 here;"),
    ],
)
def test_a_run_with_other_settings_is_refused(
    run: Run, make_network, make_sampler, stage: Stage, faces: int, seed: int, said: str
) -> None:
    train_stage(make_network(), STAGE, make_sampler(), run)
    whole = run.checkpoint.read_bytes()
    with pytest.raises(TrainingError, match="was trained with other settings") as refused:
        train_stage(make_network(), stage, make_sampler(faces, seed=seed), run)
    assert f"other settings: {said}" in str(refused.value)
    assert run.checkpoint.read_bytes() == whole


def test_a_checkpoint_of_another_network_is_refused(run: Run, make_network, make_sampler) -> None:
    train_stage(make_network(), STAGE, make_sampler(), run)
    with pytest.raises(TrainingError, match=r"model\.name atpn-lite there, atpn here"):
        train_stage(make_network(ATPN_CONFIG), STAGE, make_sampler(), run)


def test_a_branch_is_not_put_onto_another_backbone(run: Run, make_network, make_sampler) -> None:
    train_stage(make_network(), STAGE, make_sampler(), run)
    retrained = make_network()
    with torch.no_grad():
        next(retrained.high.parameters()).mul_(1.001)
    with pytest.raises(TrainingError, match=r"on another backbone than is given now \(high\."):
        train_stage(retrained, STAGE, make_sampler(), run)


def test_skipped_faces_are_remembered_over_a_kill(run: Run, make_network, make_sampler) -> None:
    sampler, again = make_sampler(), make_sampler()
    sampler.unreadable["z"] = "truncated"
    train_stage(make_network(), STAGE, sampler, run)
    train_stage(make_network(), STAGE, again, run)
    assert again.unreadable == {"z": "truncated"}


def test_a_checkpoint_says_what_it_is(run: Run, make_network, make_sampler) -> None:
    from safetensors import safe_open

    train_stage(make_network(), STAGE, make_sampler(), run)
    with safe_open(run.checkpoint, "pt") as file:
        metadata = file.metadata()
    assert metadata["step"] == "1"
    assert json.loads(metadata["plan"])["stage"]["number"] == 3
