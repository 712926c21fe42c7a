"""The log of a training run: JSON Lines, one line now and then with stage, step, loss and rate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import TrainingError


@dataclass(frozen=True)
class StageLog:
    """What a stage logged, steps ascending."""

    number: int
    steps: NDArray[np.int64]  # (K,)
    losses: NDArray[np.float64]  # (K,) in the unit of the stage's loss
    rates: NDArray[np.float64]  # (K,) learning rate


def read_training_log(path: Path) -> list[StageLog]:
    """The stages of a log in order of their number.

    Lines without a loss are passed over, a step that was logged twice (after a resume) counts as
    logged last, and a last line that a kill cut short is dropped. Raises TrainingError for a
    missing file, a line that is no JSON, and a log without a step.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as a training log: {error}") from error
    found: dict[int, dict[int, tuple[float, float]]] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if "loss" in entry:
                point = float(entry["loss"]), float(entry["lr"])
                found.setdefault(int(entry["stage"]), {})[int(entry["step"])] = point
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise TrainingError(
                f'{path}, line {number}: expected {{"stage", "step", "loss", "lr"}}: {error!r}'
            ) from error
    if not found:
        raise TrainingError(f"{path} holds no step with a loss; give the log that atpn-train wrote")
    return [_stage(number, points) for number, points in sorted(found.items())]


def _stage(number: int, points: dict[int, tuple[float, float]]) -> StageLog:
    steps = sorted(points)
    losses, rates = np.array([points[step] for step in steps]).T
    return StageLog(number, np.array(steps), losses, rates)
