"""What lies between this machine and a shell on the device: the part that differs by device."""

from __future__ import annotations

from typing import Protocol


class Wire(Protocol):
    """How a shell script gets to the device. A script is one line without "!" and backslashes.

    So it passes a login shell of any kind (bash, fish, csh) unharmed.
    """

    def open(self) -> None:
        """Look at what can be told before anything is started; DeviceError says what to type."""

    def holding(self, script: str) -> list[str]:
        """What to start here for the script that holds the session: the first one to be started.

        When it ends, or when it is ended, nothing of this wire is left on this machine.
        """

    def running(self, script: str) -> list[str]:
        """What to start here so that the script runs there.

        Standard streams are the script's own, byte by byte.
        """

    def meaning(self, errors: str) -> str:
        """What the wire's own last words on standard error mean, and what to type."""

    def close(self) -> None:
        """Let go of what `open` took here."""
