"""How far a run is and how long it will take, on a terminal or in a log."""

from __future__ import annotations

import time
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from atpn_deploy.closing import LiveBar


class Listener(Protocol):
    """Told what a run does."""

    def begin(self, device: str, files: int) -> None:
        """A run of so many files on a device starts."""

    def take(self, event: dict[str, Any]) -> None:
        """The guest told something; see `guest.conductor`."""


class Silent:
    """Shows nothing."""

    def begin(self, device: str, files: int) -> None:
        """Ignore the start."""

    def take(self, event: dict[str, Any]) -> None:
        """Ignore what was told."""


#: Seconds that opening and verifying a file is taken for before the first was.
OPENING_S = 1.5


class Bar(LiveBar):
    """One bar a device: opening and verifying first, then the rounds, with the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.fields[device]}"),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        super().__init__(Progress(*columns, console=console, transient=True))

    def listener(self, device: str) -> Line:
        """The bar of one device."""
        return Line(self._progress, self._console, device)


class Line:
    """What one device does."""

    def __init__(self, progress: Progress, console: Console, device: str) -> None:
        self._progress, self._console, self._device = progress, console, device
        self._task = progress.add_task("", total=1.0, device=device, left="")
        self._files = 1
        self._began = self._timing = time.monotonic()
        self._rounds, self._seconds = 0, 0.0

    def begin(self, device: str, files: int) -> None:
        """Files are copied first."""
        self._files, self._began = max(files, 1), time.monotonic()
        self._show("copying", 0.0, files * OPENING_S)

    def say(self, what: str) -> None:
        """Something that takes a while before files are copied."""
        self._progress.update(self._task, description=what, left="")
        if not self._console.is_terminal:
            self._console.print(what, highlight=False, soft_wrap=True)

    def take(self, event: dict[str, Any]) -> None:
        """Files are opened one by one, then timed in rounds."""
        now = time.monotonic()
        if event["event"] == "opening":
            number = int(event["number"])
            pace = (now - self._began) / number if number else OPENING_S
            self._show(
                f"opening and verifying {event['name']} ({number + 1}/{self._files})",
                number / self._files / 2,
                pace * (self._files - number),
            )
        elif event["event"] == "timing":
            self._timing, self._rounds, self._seconds = now, event["rounds"], event["seconds"]
            self._show(f"timing in {self._rounds} rounds", 0.5, self._seconds)
        elif event["event"] == "round":
            done = int(event["number"])
            self._rounds = max(self._rounds, done)  # there may be more than were planned
            left = (now - self._timing) / done * (self._rounds - done)
            quiet = done % max(1, self._rounds // 4) != 0
            self._show(
                f"round {done}/{self._rounds}", 0.5 + done / self._rounds / 2, left, log=not quiet
            )

    def _show(self, what: str, share: float, left_s: float, *, log: bool = True) -> None:
        if self._console.is_terminal:
            left = f"about {left_s:.0f} s left"
            self._progress.update(self._task, completed=share, description=what, left=left)
        elif log:
            line = f"{self._device}: {what}, about {left_s:.0f} s left"
            self._console.print(line, highlight=False, soft_wrap=True)
