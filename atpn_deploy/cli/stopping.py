"""Ctrl-C and SIGTERM as a question that a long run asks between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from atpn_deploy.closing import Closing

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping(Closing):
    """While a `with` statement lasts, a signal is noted; calling this says whether one came.

    Before the first call, while there is nothing to put away, a signal raises KeyboardInterrupt as
    Ctrl-C always does; so does a second one, for a step that hangs. In the main thread only.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked = False
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    @property
    def exit_status(self) -> int:
        """What a shell reports for a process that the signal ended: 130 for Ctrl-C."""
        return 128 + (self.signal or signal.SIGINT)

    def __call__(self) -> bool:
        """Whether a signal came; from the first call on, one is only noted."""
        self._asked = True
        return self.signal is not None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def close(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None or not self._asked:
            raise KeyboardInterrupt
        self.signal = number
