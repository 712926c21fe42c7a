"""How a training stage goes: a bar with ETA on a terminal, lines in a log, JSON Lines in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from atpn_deploy.errors import TrainingError
from atpn_deploy.training.loop import Progress as Report
from atpn_deploy.training.run_state import write_whole
from atpn_deploy.training.stages import Stage

#: Steps between two lines of the log file, and of the terminal's where it is none.
LOG_EVERY, LINE_EVERY = 50, 250


@contextmanager
def training_progress(stage: Stage, log: Path) -> Iterator[Report]:
    """Yield a function (step, loss, rate) that shows where the stage is and appends to `log`.

    A line of the log is {"stage", "step", "loss", "lr", "crops_per_s"}, the loss averaged over the
    steps since the line before. Lines of steps that a resumed run repeats are dropped first.
    """
    console = Console()
    interactive = console.is_terminal
    bar = Progress(
        TextColumn("stage {task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("{task.fields[pace]:.0f} crops/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not interactive,
    )
    pace = Pace(stage)
    with bar:
        task = bar.add_task("", total=stage.steps, stage=stage.number, loss=0.0, pace=0.0)

        def report(step: int, loss: float, rate: float) -> None:
            if pace.first < 0:
                _drop_from(log, stage.number, step)
            pace.update(step, loss)
            bar.update(task, completed=step + 1, loss=pace.smooth, pace=pace.crops_per_s)
            if (step + 1) % LOG_EVERY == 0 or step + 1 == stage.steps:
                _append(log, stage, step, pace.taken(), rate, pace.crops_per_s)
            if not interactive and ((step + 1) % LINE_EVERY == 0 or step + 1 == stage.steps):
                left = (stage.steps - step - 1) * stage.batch_size / pace.crops_per_s
                console.print(
                    f"stage {stage.number}: {step + 1}/{stage.steps}, loss {pace.smooth:.4f}, "
                    f"{pace.crops_per_s:.0f} crops/s, {left / 60:.1f} min left"
                )

        yield report


class Pace:
    """Speed since the stage was started or resumed, and the loss without its noise."""

    def __init__(self, stage: Stage) -> None:
        self.first = -1
        self.smooth = 0.0
        self.crops_per_s = 0.0
        self._batch_size = stage.batch_size
        self._started = time.monotonic()
        self._losses: list[float] = []

    def update(self, step: int, loss: float) -> None:
        """Take one step in."""
        self.smooth = loss if self.first < 0 else 0.98 * self.smooth + 0.02 * loss
        self.first = step if self.first < 0 else self.first
        done = (step + 1 - self.first) * self._batch_size
        self.crops_per_s = done / max(1e-9, time.monotonic() - self._started)
        self._losses.append(loss)

    def taken(self) -> float:
        """Mean loss since the last call."""
        mean = sum(self._losses) / len(self._losses)
        self._losses.clear()
        return mean


def _append(
    log: Path, stage: Stage, step: int, loss: float, rate: float, crops_per_s: float
) -> None:
    line = {
        "stage": stage.number,
        "step": step + 1,
        "loss": round(loss, 6),
        "lr": round(rate, 8),
        "crops_per_s": round(crops_per_s, 1),
    }
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise TrainingError(
            f"{log} could not be written ({error}); make room and start the same command again"
        ) from error


def _drop_from(log: Path, stage: int, step: int) -> None:
    """Remove what a killed run had logged beyond the checkpoint that is resumed."""
    if not log.is_file():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _stands(line, stage, step)]
    if kept != lines:
        text = "".join(kept)
        write_whole(log, lambda aside: aside.write_text(text, encoding="utf-8"))


def _stands(line: str, stage: int, step: int) -> bool:
    """Whether a line of the log is whole and not one of `stage` beyond `step`."""
    try:
        entry = json.loads(line)
    except ValueError:  # cut short by a kill or a full disk
        return False
    if not isinstance(entry, dict) or not line.endswith("\n"):
        return False
    return bool(entry.get("stage") != stage or entry.get("step", 0) <= step)
