"""Where the time of a loop goes: seconds and calls by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

#: In the order in which a frame passes them; a stage that never ran is left out of a table.
STAGES = ("decode", "detect", "crop", "infer", "track", "filter", "draw", "write")


class StageTimes:
    """Adds up what each stage takes; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._calls = dict.fromkeys(STAGES, 0)

    def add(self, stage: str, since: float) -> float:
        """Count what has passed since `since` to `stage`; the time now, where the next begins."""
        now = self.clock()
        self.count(stage, now - since)
        return now

    def count(self, stage: str, seconds: float) -> None:
        """Add a duration to `stage`."""
        self._seconds[stage] += seconds
        self._calls[stage] += 1

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        """Count the body of a `with` statement to `stage`, whether or not it ends well."""
        since = self.clock()
        try:
            yield
        finally:
            self.add(stage, since)

    @property
    def total(self) -> float:
        """Seconds of all stages together."""
        return sum(self._seconds.values())

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage, so far."""
        return self._seconds

    @property
    def entered(self) -> dict[str, float]:
        """Seconds of the stages that were entered at all."""
        return {stage: self._seconds[stage] for stage, calls in self._calls.items() if calls}

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each stage was entered."""
        return self._calls
