"""One stage of training: what is learnt, what is frozen, with which loss and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from atpn_deploy.datasets.augment import Batch, Sampler
from atpn_deploy.errors import TrainingError
from atpn_deploy.model import ATPN
from atpn_deploy.training.losses import alignment_loss, pose_loss, tracking_loss
from atpn_deploy.training.settling import (
    SETTLING_BATCH,
    remeasure_batch_norms,
    silence_idle_channels,
)


@dataclass(frozen=True)
class Stage:
    """One of the paper's stages: 1 alignment with backbone, 2 tracking, 3 pose."""

    number: int
    samples: int
    batch_size: int = 32
    learning_rate: float = 1.5e-3  # peak; warm-up over 3 %, then a cosine to zero
    weight_decay: float = 1e-4
    negative_share: float = 0.0
    settling_samples: int = 3072  # crops to measure the batch norms on at the end

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole stage."""
        return self.samples // self.batch_size

    def rate(self, step: int) -> float:
        """Learning rate at `step`."""
        warmup = max(1, round(0.03 * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


Progress = Callable[[int, float], None]


def trained_parts(model: ATPN, number: int) -> tuple[nn.Module, ...]:
    """The modules that stage `number` changes; all others are frozen (section 3.4)."""
    return {
        1: (model.low, model.high, model.alignment),
        2: (model.tracking,),
        3: (model.pose,),
    }[number]


def stage_loss(model: ATPN, number: int, batch: Batch) -> Tensor:
    """Forward one batch and compute the stage's loss."""
    planar = model.planar(torch.from_numpy(batch.image).float())
    if number == 1:
        landmarks, _ = model.align(planar)
        return alignment_loss(
            landmarks, torch.from_numpy(batch.points), torch.from_numpy(batch.weights)
        )
    with torch.no_grad():
        landmarks, low = model.align(planar)
        heat = model.heat(landmarks)
    if number == 2:
        return tracking_loss(model.tracking(planar, low, heat), torch.from_numpy(batch.is_face))
    angles = model.pose_angles(model.pose(planar, low, heat))
    return pose_loss(angles, torch.from_numpy(batch.pose))


def train_stage(
    model: ATPN,
    stage: Stage,
    sampler: Sampler,
    checkpoint: Path,
    *,
    progress: Progress = lambda step, loss: None,
    save_every: int = 500,
) -> None:
    """Train in place; resumes from `checkpoint` exactly where a killed run had saved it."""
    parts = trained_parts(model, stage.number)
    model.eval().requires_grad_(False)
    for part in parts:
        part.train().requires_grad_(True)
    # Decay apart from the gradient (AdamW). As part of it, Adam would scale it up wherever the
    # gradient vanishes: within 3,000 steps the depthwise filters of idle channels were at 1e-20.
    optimiser = torch.optim.AdamW(
        [p for part in parts for p in part.parameters()],
        lr=stage.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=stage.weight_decay,
    )
    first = _restore(checkpoint, model, optimiser) if checkpoint.exists() else 0

    def draw(step: int, size: int = stage.batch_size) -> Batch:
        return sampler.batch(
            step,
            size,
            negative_share=stage.negative_share,
            posed=stage.number == 3,
        )

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, first)
        for step in range(first, stage.steps):
            batch, coming = coming.result(), pool.submit(draw, step + 1)
            for group in optimiser.param_groups:
                group["lr"] = stage.rate(step)
            loss = stage_loss(model, stage.number, batch)
            if not math.isfinite(loss.item()):
                raise TrainingError(
                    f"stage {stage.number}: the loss is {loss.item()} at step {step}; "
                    "lower the learning rate"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress(step, loss.item())
            if (step + 1) % save_every == 0 or step + 1 == stage.steps:
                _save(checkpoint, model, optimiser, step + 1)

    def settle(index: int) -> Tensor:
        return stage_loss(model, stage.number, draw(stage.steps + index, SETTLING_BATCH))

    remeasure_batch_norms(parts, settle, stage.settling_samples // SETTLING_BATCH)
    for part in parts:
        silence_idle_channels(part)
    model.eval().requires_grad_(False)


def _save(path: Path, model: ATPN, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write model and optimiser aside, then rename: a kill leaves the last one whole."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": torch.as_tensor(v) for name, v in state.items()}
    aside = path.with_suffix(".partial")
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        aside,
        metadata={"step": str(step)},
    )
    aside.rename(path)


def _restore(path: Path, model: ATPN, optimiser: torch.optim.Optimizer) -> int:
    """Load what `_save` wrote and return the next step."""
    from safetensors import safe_open

    tensors = load_file(path)
    with safe_open(path, "pt") as archive:
        step = int(archive.metadata()["step"])
    try:
        model.load_state_dict(
            {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        )
    except RuntimeError as error:  # what torch raises for names or shapes that differ
        raise TrainingError(
            f"{path} is of another network than {model.config.name}; give another output folder"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )
    return step
