"""Progress of an evaluation on a terminal: a bar a data set, with the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from atpn_deploy.closing import LiveBar
from atpn_deploy.evaluation.trials import Trial
from atpn_deploy.evaluation.views import Advance


class Bars(LiveBar):
    """A bar a trial on a terminal, one line a trial in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        super().__init__(Progress(*columns, console=console))

    @contextmanager
    def trial(self, trial: Trial) -> Iterator[Advance]:
        """Show one trial; what is entered is told of each face or frame that is done."""
        label = f"{trial.task}: {trial.dataset}"
        if not self._console.is_terminal:
            self._console.print(f"{label}, {trial.size:,}", highlight=False)
        task = self._progress.add_task(label, total=trial.size)
        yield lambda count: self._progress.advance(task, count)
