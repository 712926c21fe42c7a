"""Progress of an export: which step runs, how far it is, how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from atpn_deploy.closing import LiveBar


@dataclass(frozen=True)
class Step:
    """One step and how long it takes on two cores of a laptop; real speed corrects the guess."""

    label: str
    typical_s: float


class Listener(Protocol):
    """Told what an export does."""

    def plan(self, steps: Iterable[Step]) -> None:
        """All steps, before the first begins."""

    def begin(self, label: str) -> None:
        """The next step begins; the one before is done."""


class Silent:
    """Shows nothing."""

    def plan(self, steps: Iterable[Step]) -> None:
        """Ignore the plan."""

    def begin(self, label: str) -> None:
        """Ignore the step."""


class Bar(LiveBar):
    """A bar with the time left on a terminal, one line a step in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: list[Step] = []
        self._current = -1
        self._started = self._step_started = time.monotonic()
        super().__init__(_Live(self, console))
        self._task = self._progress.add_task("", total=1.0, label="", left="")

    def plan(self, steps: Iterable[Step]) -> None:
        """Take the steps over."""
        self._steps = list(steps)
        self._started = time.monotonic()

    def begin(self, label: str) -> None:
        """Go on to the step of that label; a step that was not planned is shown all the same."""
        labels = [step.label for step in self._steps]
        self._current = labels.index(label) if label in labels else self._current
        self._step_started = time.monotonic()
        if not self._console.is_terminal:
            left = f", about {self._left_s():.0f} s left" if self._current >= 0 else ""
            self._console.print(f"[{self._current + 1}/{len(self._steps)}] {label}{left}")

    def _left_s(self) -> float:
        """Planned time of what is to come, scaled by how this machine has done so far."""
        done = sum(step.typical_s for step in self._steps[: max(0, self._current)])
        spent = self._step_started - self._started
        pace = spent / done if done > 5 else 1.0
        inside = (time.monotonic() - self._step_started) / pace if self._current >= 0 else 0.0
        current = self._steps[self._current].typical_s if self._current >= 0 else 0.0
        after = sum(step.typical_s for step in self._steps[self._current + 1 :])
        return pace * (after + max(0.05 * current, current - inside))

    @property
    def fraction(self) -> float:
        """How much of the whole is done, 0 to 1, by time spent and time left."""
        elapsed = time.monotonic() - self._started
        return elapsed / max(elapsed + self._left_s(), 1e-6)

    def refresh(self) -> None:
        """Bring the drawn bar up to date."""
        if self._current < 0:
            return
        left = self._left_s()
        elapsed = time.monotonic() - self._started
        self._progress.update(
            self._task,
            completed=self.fraction,
            label=f"[{self._current + 1}/{len(self._steps)}] {self._steps[self._current].label}",
            left=f"{elapsed:.0f} s, about {left:.0f} s left",
        )


class _Live(Progress):
    """Rich's progress, asking the bar for its state at every redraw."""

    def __init__(self, bar: Bar, console: Console) -> None:
        self._bar = bar
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.fields[label]}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )

    def get_renderable(self) -> RenderableType:
        """Draw the current state."""
        if self.tasks:
            self._bar.refresh()
        return super().get_renderable()
