"""Progress over all videos: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as RichProgress

from atpn_deploy.closing import LiveBar
from atpn_exporters.fleet.report import Failure, Plan, Progress, shown

#: Frames a second are those of so many seconds.
WINDOW_S = 20.0
#: Seconds between two lines in a log.
LOG_S = 30.0


class FleetBar(LiveBar):
    """A `Listener` that shows what it is told."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._began_s = self._logged_s = clock()
        self._seen: deque[tuple[float, int]] = deque()  # time, frames so far
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
        )
        super().__init__(RichProgress(*columns, console=console, transient=True))
        self._task = self._progress.add_task("opening the model", total=1.0, left="")

    def planned(self, plan: Plan) -> None:
        """Say how many there are of which kind."""
        self._console.print(plan_text(plan), highlight=False)
        self._began_s = self._logged_s = self._clock()

    def progress(self, progress: Progress) -> None:
        """Move the bar, or write a line if the last one is old."""
        now_s = self._clock()
        if not self._seen and progress.busy:
            self._began_s = now_s  # workers have opened what they need
        self._seen.append((now_s, progress.frames))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        text, left = self._text(progress), self._left(progress, now_s)
        if self._console.is_terminal:
            share = progress.bytes / max(1, progress.bytes_to_do)
            self._progress.update(self._task, description=text, completed=share, left=left)
        elif now_s - self._logged_s >= LOG_S:
            self._logged_s = now_s
            self._console.print(", ".join(filter(None, (text, left))), highlight=False)

    def failed(self, failure: Failure) -> None:
        """Say so at once: whoever watches may want to stop."""
        text = f"{failure.state}: {shown(failure.video)}: {shown(failure.reason)}"
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def _text(self, progress: Progress) -> str:
        text = (
            f"{progress.videos:,} of {progress.videos_to_do:,} videos, {self._fps():.0f} frames/s"
        )
        return f"{text}, {progress.failures:,} failed" if progress.failures else text

    def _fps(self) -> float:
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return max(0, last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def _left(self, progress: Progress, now_s: float) -> str:
        """Time left, by the bytes that are done."""
        if progress.bytes <= 0:
            return ""
        rest = max(0.0, progress.bytes_to_do - progress.bytes)
        seconds = (now_s - self._began_s) * rest / progress.bytes
        return f"about {duration(seconds)} left"


def plan_text(plan: Plan) -> str:
    """ "5,000 videos: 4,200 done before; to do 800: 700 new, 100 another model" """
    todo = sum(plan.to_do.values())
    kinds = ", ".join(f"{number:,} {why}" for why, number in plan.to_do.items())
    rest = f"to do {todo:,}: {kinds}" if todo else "nothing to do"
    return f"{plan.videos:,} videos: {plan.done_before:,} done before; {rest}"


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3 h 20 min" """
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
