"""The paper's three stages: what is learnt, what is frozen, with which loss and schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from atpn_deploy.datasets.augment import Augmentation, Batch
from atpn_deploy.errors import ConfigError
from atpn_deploy.model import ATPN
from atpn_deploy.training.losses import (
    ALIGNMENT_LOSSES,
    AlignmentLoss,
    pose_loss,
    tracking_loss,
)

Optimiser = Literal["adam", "adamw"]


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up over a share of the steps, then a cosine down to zero."""

    warmup: float = 0.03

    def factor(self, step: int, steps: int, epoch: float) -> float:
        """Share of the peak rate at `step` of `steps`; `epoch` is not looked at."""
        warmup = max(1, round(self.warmup * steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@dataclass(frozen=True)
class Decay:
    """The paper's schedule: the rate loses a share of itself after every so many epochs."""

    loss_of_rate: float  # 0.03: what remains is 0.97 of the rate before
    every_epochs: int

    def factor(self, step: int, steps: int, epoch: float) -> float:
        """Share of the first rate at `epoch`."""
        return float((1 - self.loss_of_rate) ** (epoch // self.every_epochs))


@dataclass(frozen=True)
class Stage:
    """One stage: 1 alignment with the backbone, 2 tracking, 3 pose (section 3.4)."""

    number: int
    samples: int  # training crops, faces and backgrounds together
    batch_size: int = 32  # of all processes together
    optimiser: Optimiser = "adamw"
    learning_rate: float = 2e-3
    schedule: Cosine | Decay = field(default_factory=Cosine)
    weight_decay: float = 1e-4
    alignment_loss: AlignmentLoss = "wing"
    average: float = 0.998  # decay a step of the moving average of weights; 0 keeps the last ones
    negative_share: float = 0.0  # of each batch; stage 2 alone
    augmentation: Augmentation = field(default_factory=Augmentation)
    settling_samples: int = 3072  # crops that the batch norms are measured on at the end

    def __post_init__(self) -> None:
        if self.number not in (1, 2, 3):
            raise ConfigError(f"there is no stage {self.number}; choose 1, 2 or 3")
        if self.samples < self.batch_size:
            raise ConfigError(
                f"{self.samples} samples are less than one batch of {self.batch_size}; give more"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole stage."""
        return self.samples // self.batch_size

    def rate(self, step: int, faces: int) -> float:
        """Learning rate at `step` of a stage on a set of so many faces."""
        seen = step * self.batch_size * (1 - self.negative_share)
        return self.learning_rate * self.schedule.factor(step, self.steps, seen / faces)


def trained_parts(model: ATPN, number: int) -> tuple[nn.Module, ...]:
    """The modules that stage `number` changes; all others are frozen (section 3.4)."""
    return {
        1: (model.low, model.high, model.alignment),
        2: (model.tracking,),
        3: (model.pose,),
    }[number]


def stage_loss(model: ATPN, stage: Stage, batch: Batch) -> Tensor:
    """Forward one batch and compute the stage's loss (equations 3, 5 and 7)."""
    device = next(model.parameters()).device
    planar = model.planar(torch.from_numpy(batch.image).to(device).float())
    if stage.number == 1:
        landmarks, _ = model.align(planar)
        points = torch.from_numpy(batch.points).to(device)
        weights = torch.from_numpy(batch.weights).to(device)
        return ALIGNMENT_LOSSES[stage.alignment_loss](landmarks.float(), points, weights)
    with torch.no_grad():
        landmarks, low = model.align(planar)
        heat = model.heat(landmarks)
    if stage.number == 2:
        logits = model.tracking(planar, low, heat)
        return tracking_loss(logits.float(), torch.from_numpy(batch.is_face).to(device))
    angles = model.pose_angles(model.pose(planar, low, heat).float())
    return pose_loss(angles, torch.from_numpy(batch.pose).to(device))
