"""Training one stage: batches, steps, checkpoints, and an exact resume after a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from atpn_deploy.datasets.augment import Batch, Sampler
from atpn_deploy.errors import TrainingError
from atpn_deploy.model import ATPN
from atpn_deploy.training.average import AveragedWeights
from atpn_deploy.training.loading import coming_batches, draw
from atpn_deploy.training.processes import Process
from atpn_deploy.training.run_state import RunState
from atpn_deploy.training.settling import (
    SETTLING_BATCH,
    balance_heads,
    remeasure_batch_norms,
    silence_idle_channels,
)
from atpn_deploy.training.stages import Stage, stage_loss, trained_parts

#: (step, loss, learning rate) after every step.
Progress = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Run:
    """How a stage is run here: where it saves, among which processes, in which precision."""

    checkpoint: Path
    process: Process = field(default_factory=Process)
    bfloat16: bool = False
    loaders: int = 0  # processes that draw batches ahead
    save_every: int = 500  # steps


def train_stage(
    model: ATPN,
    stage: Stage,
    sampler: Sampler,
    run: Run,
    progress: Progress = lambda step, loss, rate: None,
) -> None:
    """Train in place; resumes from the run's checkpoint exactly where a killed run had saved it.

    Ends with the averaged weights, batch norms measured anew and idle channels silenced. Raises
    TrainingError where a loss is no number, a checkpoint is foreign or can't be written, and
    DatasetError where too many images can't be read.
    """
    if stage.batch_size % run.process.world:
        raise TrainingError(
            f"{run.process.world} processes can't share batches of {stage.batch_size} evenly; "
            f"start 1, 2, 4 or another divisor of {stage.batch_size}"
        )
    parts = trained_parts(model, stage.number)
    model.eval().requires_grad_(False)
    for part in parts:
        part.train().requires_grad_(True)
    parameters = [p for part in parts for p in part.parameters()]
    statistics = [b for part in parts for b in part.buffers() if b.is_floating_point()]
    average = AveragedWeights(parameters, stage.average)
    state = RunState(model, _optimiser(stage, parameters), average)
    plan = _plan(model, stage, sampler)
    first = 0
    if run.checkpoint.exists():
        first, unreadable = state.restore(run.checkpoint, plan)
        sampler.unreadable.update(unreadable)
    coming = coming_batches(stage, sampler, run.process, first, run.loaders)
    with closing(coming):  # an error ends the loaders too
        for step, batch in enumerate(coming, first):
            rate = stage.rate(step, sampler.count(posed=stage.number == 3))
            state.set_rate(rate)
            loss, slope = _step(state, stage, batch, run)
            if not math.isfinite(loss + slope):
                names = _few(_to_blame(model, stage, batch, run.process))
                raise TrainingError(
                    f"stage {stage.number}: the loss is {loss} and its gradient {slope} at step "
                    f"{step}, seed {sampler.seed}, on {names}; lower the learning rate or look at "
                    "these faces"
                )
            average.update(parameters, step)
            progress(step, loss, rate)
            if (step + 1) % run.save_every == 0 or step + 1 == stage.steps:
                run.process.average(statistics)  # each process saw other crops
                if run.process.rank == 0:
                    state.save(run.checkpoint, step + 1, plan, sampler.unreadable)
                run.process.wait()
    if stage.average:
        average.copy_to(parameters)
    _settle(model, stage, sampler, parts, run)


def _optimiser(stage: Stage, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW keeps the decay apart from the gradient, Adam makes it part (see recipes.paper)."""
    kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
    return kind(
        parameters, lr=stage.learning_rate, betas=(0.9, 0.999), weight_decay=stage.weight_decay
    )


def _plan(model: ATPN, stage: Stage, sampler: Sampler) -> str:
    """Everything that decides what a resumed run would compute, as one line of JSON."""
    return json.dumps(
        {
            "model": model.config.to_dict(),
            "stage": asdict(stage),
            "seed": sampler.seed,
            "faces": len(sampler.faces),
        },
        sort_keys=True,
    )


def _step(state: RunState, stage: Stage, batch: Batch, run: Run) -> tuple[float, float]:
    """One optimiser step, left out where it would write NaN or infinity into the weights.

    Returns the loss averaged over the processes and the norm of its gradient.
    """
    device = next(state.model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=run.bfloat16):
        loss = stage_loss(state.model, stage, batch)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    value = loss.detach()
    groups = state.optimiser.param_groups
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    run.process.average([*gradients, value])
    slope = nn.utils.get_total_norm(gradients)
    if torch.isfinite(value + slope):
        state.optimiser.step()
    return value.item(), slope.item()


def _to_blame(model: ATPN, stage: Stage, batch: Batch, process: Process) -> tuple[str, ...]:
    """Names of the crops whose own loss is no number; of the whole batch where none stands out."""
    model.eval()
    with torch.no_grad():
        losses = [stage_loss(model, stage, batch.crop(i)) for i in range(len(batch.names))]
    wrong = [n for n, loss in zip(batch.names, losses, strict=True) if not loss.isfinite()]
    everywhere = [name for names in process.gather(wrong) for name in names]
    return tuple(dict.fromkeys(everywhere or batch.names))


def _settle(
    model: ATPN, stage: Stage, sampler: Sampler, parts: tuple[nn.Module, ...], run: Run
) -> None:
    """Fit the batch norms for deployment; every process measures the same crops."""

    # Drawn once and looked at twice: 115 MB with the recipes' 3,072 crops.
    batches = [
        draw(stage, sampler, stage.steps + index, SETTLING_BATCH, Process())
        for index in range(stage.settling_samples // SETTLING_BATCH)
    ]

    def forward(index: int) -> Tensor:
        return stage_loss(model, stage, batches[index])

    remeasure_batch_norms(parts, forward, len(batches))
    for part in parts:
        silence_idle_channels(part)
    balance_heads(parts, forward, len(batches))
    model.eval().requires_grad_(False)


def _few(names: tuple[str, ...]) -> str:
    """At most three names of a batch."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
