"""What a `with` statement ends: a session, a source, a writer, a process."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self  # Python 3.11; a board may have 3.10


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
