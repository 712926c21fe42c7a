"""Progress of a tracking run on a terminal: frames, speed, faces, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from atpn_deploy.closing import LiveBar
from atpn_exporters.following.run import FrameDone

#: Seconds between two changes of what is shown: each costs some 0.1 ms.
PERIOD_S = 0.1


class TrackingBar(LiveBar):
    """Told after each frame; shows nothing where the console is no terminal."""

    def __init__(self, console: Console) -> None:
        self._shown = console.is_terminal
        columns = (
            SpinnerColumn(),
            TextColumn("{task.fields[state]}"),
            BarColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(Progress(*columns, console=console, transient=True))
        self._task = self._progress.add_task("", total=None, state="opening")
        self._frames = 0
        self._began_s = self._told_s = 0.0

    def __call__(self, done: FrameDone) -> None:
        """Count a frame."""
        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        self._frames += 1
        if not self._shown or now_s - self._told_s < PERIOD_S:
            return
        self._told_s = now_s
        self._progress.update(
            self._task,
            completed=done.frame.index + 1,
            total=done.frames_expected,
            state=bar_text(done, self._frames, now_s - self._began_s),
        )


def bar_text(done: FrameDone, frames: int, elapsed_s: float) -> str:
    """ "frame 120 of 500, 64 fps, 2 faces"; the first frame's own time is not in `elapsed_s`."""
    of = f" of {done.frames_expected:,}" if done.frames_expected else ""
    fps = f"{(frames - 1) / elapsed_s:.0f} fps, " if elapsed_s > 0 else ""
    count = len(done.faces.tracked)
    return f"frame {done.frame.index + 1:,}{of}, {fps}{count} face{'' if count == 1 else 's'}"
