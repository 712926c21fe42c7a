"""One training run from data to weights: which stages, on what, with which recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from atpn_deploy.config import ATPNConfig
from atpn_deploy.datasets.augment import Sampler
from atpn_deploy.errors import ConfigError, DatasetError, TrainingError
from atpn_deploy.model import ATPN
from atpn_deploy.training.loop import Run, train_stage
from atpn_deploy.training.processes import Process
from atpn_deploy.training.progress import training_progress
from atpn_deploy.training.run_state import write_whole
from atpn_deploy.training.sources import TrainingData
from atpn_deploy.training.stages import Stage
from atpn_deploy.weights import open_checkpoint, save_state


@dataclass(frozen=True)
class Place:
    """Where and on what a run computes."""

    output: Path
    process: Process
    device: torch.device
    bfloat16: bool
    loaders: int
    save_every: int


#: What stage 1 trains: the part of a checkpoint that an ablation of stage 2 or 3 goes on from.
STAGE_1_MODULES = ("low.", "high.", "alignment.")


def initial_network(
    config: ATPNConfig,
    start_from: Path | None,
    seed: int,
    modules: tuple[str, ...] = ("",),
) -> ATPN:
    """Random weights of a seed, or a checkpoint's; channels last, which convolutions prefer.

    Of a checkpoint come the tensors whose names begin with one of `modules` and which the network
    has too: one of another variant gives what both have.
    """
    torch.manual_seed(seed)
    network = ATPN(config)
    if start_from is not None:
        earlier = open_checkpoint(start_from)
        if earlier.config.landmark_count != config.landmark_count:
            raise ConfigError(
                f"{start_from} has {earlier.config.landmark_count} landmarks, this network "
                f"{config.landmark_count}; choose another --start-from"
            )
        own = network.state_dict()
        given = earlier.load().state_dict()
        shared = {
            n: t
            for n, t in given.items()
            if n.startswith(modules) and n in own and t.shape == own[n].shape
        }
        if not any(name.startswith("low.") for name in shared):
            raise ConfigError(f"{start_from} shares no backbone with {config.name}; train anew")
        network.load_state_dict(own | shared)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(
    network: ATPN, stages: Sequence[Stage], data: TrainingData, place: Place, seed: int
) -> dict[str, str]:
    """Train the stages one after the other in place and write the network after each.

    `OUTPUT/stageN.safetensors` holds a stage's progress, `OUTPUT/NAME.safetensors` the network,
    `OUTPUT/unreadable.json` the faces that were skipped, if there were any, and why; they are
    returned too.
    """
    network.to(place.device)
    negatives = data.negatives()
    unreadable: dict[str, str] = {}
    for stage in stages:
        faces = data.faces(stage.number)
        sampler = Sampler(faces, negatives, stage.augmentation, seed=seed * 10 + stage.number)
        if stage.number == 3 and not sampler.count(posed=True):
            raise TrainingError("stage 3 needs faces with a known pose; these have none")
        run = Run(
            place.output / f"stage{stage.number}.safetensors",
            place.process,
            place.bfloat16,
            place.loaders,
            place.save_every,
        )
        speaks = place.process.rank == 0
        shown = training_progress(stage, place.output / "train.jsonl") if speaks else nullcontext()
        try:
            with shown as progress:
                if progress is None:
                    train_stage(network, stage, sampler, run)
                else:
                    train_stage(network, stage, sampler, run, progress)
        except DatasetError:
            if speaks:
                _report(unreadable | sampler.unreadable, place.output)
            raise
        for skipped in place.process.gather(sampler.unreadable):
            unreadable |= skipped
        if speaks:
            written = place.output / f"{network.config.name}.safetensors"
            write_whole(written, lambda aside: save_state(network, aside))
            _report(unreadable, place.output)
    return unreadable


def _report(unreadable: dict[str, str], output: Path) -> None:
    """Name the faces that were skipped; no file where there were none."""
    path = output / "unreadable.json"
    if not unreadable:
        path.unlink(missing_ok=True)
        return
    text = json.dumps(unreadable, indent=2, sort_keys=True) + "\n"
    write_whole(path, lambda aside: aside.write_text(text, encoding="utf-8"))
