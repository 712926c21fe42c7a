"""This machine as a device: its shell, this Python, a temporary folder."""

from __future__ import annotations

import shlex
import sys

from atpn_benchmarks.devices.posix_device import Habits, PosixDevice


class LocalWire:
    """No wire at all: scripts go to this machine's `sh`."""

    def open(self) -> None:
        """Nothing can be wrong."""

    def holding(self, script: str) -> list[str]:
        """The script in a shell of its own."""
        return ["sh", "-c", script]

    def running(self, script: str) -> list[str]:
        """The script in a shell of its own."""
        return ["sh", "-c", script]

    def meaning(self, errors: str) -> str:
        """The last line: nothing but the script writes there."""
        return errors.rpartition("\n")[2]

    def close(self) -> None:
        """Nothing was taken."""


def local_device(name: str, address: str, python: bool) -> PosixDevice:
    """This machine; its Python is the one that runs this."""
    pythons = (shlex.quote(sys.executable),) if python else ()
    return PosixDevice(name, LocalWire(), Habits(pythons, variables=False))
