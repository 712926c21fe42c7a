"""The paper's ablations (tables 7, 8 and 9): which variants, how each is trained and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.config import ATPNConfig, variant_named
from atpn_deploy.errors import ConfigError
from atpn_deploy.evaluation.ablation import AblationRow, modules_of, table_7, table_8, table_9
from atpn_deploy.evaluation.cells import Table
from atpn_deploy.evaluation.network import of_checkpoint
from atpn_deploy.evaluation.results import AlignmentResult, PoseResult, TrackingResult
from atpn_deploy.evaluation.trials import Trial, run_trials
from atpn_deploy.training.session import (
    STAGE_1_MODULES,
    Place,
    initial_network,
    train,
)
from atpn_deploy.training.sources import TrainingData
from atpn_deploy.training.stages import Stage
from atpn_deploy.weights import open_checkpoint

_BRANCH_VARIANTS = (
    ("Baseline", ("feature-sharing", "heatmap")),
    ("Feature sharing", ("heatmap",)),
    ("Feature sharing + heatmap", ()),
)


@dataclass(frozen=True)
class Ablation:
    """One of the paper's tables: its variants, in its order, and the stage that it trains."""

    table: int
    stage: int
    task: str  # of `atpn_deploy.evaluation.trials.TASKS`
    variants: tuple[tuple[str, tuple[str, ...]], ...]  # name, what it is without


ABLATIONS = {
    7: Ablation(
        7,
        1,
        "alignment",
        (
            ("Baseline", ("low-level-features", "multiview", "coord-conv")),
            ("Model1", ("multiview", "coord-conv")),
            ("Model2", ("coord-conv",)),
            ("Model3", ()),
        ),
    ),
    8: Ablation(8, 3, "pose", _BRANCH_VARIANTS),
    9: Ablation(9, 2, "tracking", _BRANCH_VARIANTS),
}


def ablation_named(table: int) -> Ablation:
    """The ablation of that table; ConfigError names the choices."""
    if table not in ABLATIONS:
        raise ConfigError(f"table {table} is no ablation; choose one of 7, 8 and 9")
    return ABLATIONS[table]


def train_variants(
    ablation: Ablation,
    model: str,
    stage: Stage,
    data: TrainingData,
    place: Callable[[ATPNConfig], Place],
    seed: int,
    start_from: Path | None,
) -> Iterator[tuple[str, Path]]:
    """Train every variant; yields its name and checkpoint as each is done.

    Stage 1 starts from random weights. Stages 2 and 3 start from the backbone and alignment branch
    of `start_from`, and their own branch from random weights.
    """
    start = None if ablation.stage == 1 else start_from
    for name, without in ablation.variants:
        config = variant_named(model, without)
        where = place(config)
        network = initial_network(config, start, seed, STAGE_1_MODULES)
        train(network, [stage], data, where, seed)
        yield name, where.output / f"{config.name}.safetensors"


def measured(
    ablation: Ablation, variants: list[tuple[str, Path]], trials: list[Trial]
) -> list[AblationRow[AlignmentResult] | AblationRow[PoseResult] | AblationRow[TrackingResult]]:
    """Each variant's result on the first of the trials."""
    rows = []
    for name, path in variants:
        checkpoint = open_checkpoint(path)
        (evaluation,) = run_trials([of_checkpoint(checkpoint)], trials[:1])
        (result,) = getattr(evaluation, ablation.task)
        rows.append(AblationRow(name, modules_of(checkpoint.config), result))
    return rows


def table_of(ablation: Ablation, series: str, rows: list[AblationRow], notes: list[str]) -> Table:  # type: ignore[type-arg]
    """The paper's table with the variants beside it."""
    layout = {7: table_7, 8: table_8, 9: table_9}[ablation.table]
    return layout({series: rows}, notes)  # type: ignore[operator, no-any-return]
