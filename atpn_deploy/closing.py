"""What a `with` statement ends: a session, a source, a writer, a process, a bar."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self  # Python 3.11; a board may have 3.10

    from rich.progress import Progress


class Context(Protocol):
    """What a `with` statement takes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Closing:
    """Ends with a `with` statement, or by `close`."""

    def close(self) -> None:
        """Let go of what is held; it is of no use afterwards. Nothing, where nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class LiveBar(Closing):
    """Shows rich's progress while a `with` statement lasts, where the console is a terminal.

    Elsewhere even stopping it would print an empty line.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._progress.console.is_terminal:
            self._progress.stop()

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self
