"""Two processes that train together, as torchrun starts them, and which device they may use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from atpn_deploy.errors import TrainingError
from atpn_deploy.training.processes import Process, device_named, training_process

#: What each of the two processes runs; it writes what it found as JSON, by its rank.
SCRIPT = """
import hashlib, json, sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from atpn_deploy.config import ATPN_LITE_CONFIG
from atpn_deploy.datasets.augment import Augmentation, Sampler
from atpn_deploy.datasets.faces import FaceSet, boxes_of
from atpn_deploy.errors import DatasetError
from atpn_deploy.mean_shape import mean_shape
from atpn_deploy.training.loop import Run, train_stage
from atpn_deploy.training.processes import Process, training_process
from atpn_deploy.training.session import initial_network
from atpn_deploy.training.stages import Stage, stage_loss

torch.set_num_threads(1)
folder = Path(sys.argv[1])
rng = np.random.default_rng(2)
images = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(3)]
points = np.repeat((mean_shape(98).numpy() * 75 + 37)[None], 3, 0).astype(np.float32)
weights = np.ones((3, 98), np.float32)
pose = rng.normal(0, 0.3, (3, 3)).astype(np.float32)
faces = FaceSet(images, boxes_of(points, weights), points, weights, pose, ("a", "b", "c"))
sampler = Sampler(faces, [i[:112, :112] for i in images], Augmentation(), seed=3)


def stage(number):
    share = 0.5 if number == 2 else 0.0
    return Stage(number, 12, batch_size=4, settling_samples=0, negative_share=share)


def digest(model):
    tensors = model.state_dict().values()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()


def gradients(model, batch):
    model.zero_grad()
    stage_loss(model, stage(1), batch).backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


class Killed(Exception):
    pass


def killed_at(last):
    def progress(step, loss, rate):
        if step == last:
            raise Killed
    return progress


with training_process(torch.device("cpu")) as process:
    found = {"rank": process.rank, "world": process.world, "resumed": {}, "straight": {}}
    found["gathered"] = process.gather({"rank": process.rank})
    tensor = torch.full((2, 3), float(process.rank)).t()
    process.average([tensor, torch.zeros(())])
    found["averaged"] = tensor.tolist()

    # With batch norms that do not look at the batch, two halves are worth the whole.
    model = initial_network(ATPN_LITE_CONFIG, None, 1).eval()
    whole = [g.clone() for g in gradients(model, sampler.batch(0, 4))]
    halves = gradients(model, sampler.batch(0, 4, part=(process.rank, process.world)))
    found["apart"] = max(float((h - w).abs().max()) for h, w in zip(halves, whole))
    process.average(halves)
    found["together"] = max(float((h - w).abs().max()) for h, w in zip(halves, whole))

    for number in (1, 2):
        model = initial_network(ATPN_LITE_CONFIG, None, 1)
        losses = []
        run = Run(folder / f"straight{number}", process, save_every=1)
        train_stage(model, stage(number), sampler, run, lambda s, loss, r: losses.append(loss))
        found["straight"][number] = [digest(model), losses]
        model = initial_network(ATPN_LITE_CONFIG, None, 1)
        run = replace(run, checkpoint=folder / f"resumed{number}")
        steps = []
        try:
            train_stage(model, stage(number), sampler, run, killed_at(1))
        except Killed:
            steps.append("killed")
        process.wait()
        model = initial_network(ATPN_LITE_CONFIG, None, 1)
        train_stage(model, stage(number), sampler, run, lambda s, loss, r: steps.append(s))
        found["resumed"][number] = [digest(model), steps]

(folder / f"rank{found['rank']}.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both processes found."""
    folder = tmp_path_factory.mktemp("torchrun")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script), str(folder)),
        ],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr
    one, two = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    return one, two


def test_processes_know_their_rank_and_each_other(ranks) -> None:
    assert [(found["rank"], found["world"]) for found in ranks] == [(0, 2), (1, 2)]
    for found in ranks:
        assert found["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert found["averaged"] == [[0.5, 0.5]] * 3


def test_averaged_gradients_of_halves_are_those_of_the_whole(ranks) -> None:
    for found in ranks:
        assert found["together"] < 1e-5
        assert found["apart"] > 100 * found["together"]  # the halves differ


@pytest.mark.parametrize("stage", ["1", "2"])
def test_both_end_with_the_same_weights_and_losses(ranks, stage: str) -> None:
    one, two = (found["straight"][stage] for found in ranks)
    assert one == two
    assert len(one[1]) == 3


@pytest.mark.parametrize("stage", ["1", "2"])
def test_both_resume_to_the_same_bits(ranks, stage: str) -> None:
    for found in ranks:
        digest, steps = found["resumed"][stage]
        assert steps == ["killed", 1, 2]
        assert digest == found["straight"][stage][0]


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with training_process(torch.device("cpu")) as process:
        assert process == Process(0, 1)
        tensor = torch.ones(2)
        process.average([tensor])
        process.wait()
        assert tensor.tolist() == [1, 1]
        assert process.gather("mine") == ["mine"]
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with training_process(torch.device("cpu")) as process:
        assert process == Process(0, 1)


def test_cuda_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="no CUDA device; use --device cpu"):
        device_named("cuda")
    assert device_named("auto") == device_named("cpu") == torch.device("cpu")


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_named("auto") == device_named("cuda") == torch.device("cuda", 3)
    assert device_named("cpu") == torch.device("cpu")


def test_an_unknown_device_is_told_the_choices() -> None:
    with pytest.raises(TrainingError, match="no device is called 'tpu'; choose auto, cpu or cuda"):
        device_named("tpu")
