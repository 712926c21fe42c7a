"""Progress of a training stage: a bar with ETA on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from atpn_deploy.training.stages import Progress as Report
from atpn_deploy.training.stages import Stage


@contextmanager
def training_progress(stage: Stage, line_every: int = 250) -> Iterator[Report]:
    """Yield a function (step, loss) that shows where the stage is."""
    console = Console()
    smooth = 0.0
    started, first = time.monotonic(), -1
    bar = Progress(
        TextColumn("stage {task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=stage.steps, stage=stage.number, loss=0.0)

        def report(step: int, loss: float) -> None:
            nonlocal smooth, first
            first = step if first < 0 else first
            smooth = loss if step == first else 0.98 * smooth + 0.02 * loss
            bar.update(task, completed=step + 1, loss=smooth)
            if not console.is_terminal and (step + 1) % line_every == 0:
                rate = (step + 1 - first) / (time.monotonic() - started)
                left = (stage.steps - step - 1) / rate
                console.print(
                    f"stage {stage.number}: {step + 1}/{stage.steps}, loss {smooth:.4f}, "
                    f"{rate * stage.batch_size:.0f} crops/s, {left / 60:.1f} min left"
                )

        yield report
