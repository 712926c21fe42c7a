"""A machine that files are run on: a few verbs, whichever wire lies between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from atpn_deploy.closing import Context
from atpn_deploy.errors import AtpnError

Measures = Literal["time", "instructions"]


class DeviceError(AtpnError):
    """A device can't be reached or can't do what is asked; says what to check or to type."""


class DeviceLostError(DeviceError):
    """The device went away in the middle; what it had told until then stands."""


class Device(Context, Protocol):
    """One machine, opened by `with`: entering makes a folder of our own there, leaving removes it.

    All paths are relative to that folder, POSIX, without "..". Every method raises DeviceError in
    one line that names the device; a connection that breaks raises DeviceLostError.
    """

    @property
    def name(self) -> str:
        """As the user asked for it: local, ssh:pi@board, adb:SERIAL."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of the Python there, each in a sentence; mostly empty.

        Such as a C library that the runtimes have no wheels for.
        """

    @property
    def measures(self) -> Measures:
        """What a run there is worth: an emulator counts instructions, its clock says nothing."""

    @property
    def left_behind(self) -> str:
        """After `with`: what could not be removed there, in a sentence; empty if nothing."""

    def push(self, files: Mapping[str, Path]) -> None:
        """Copy files or folders there, by their names there, and hold their sizes against ours."""

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run the device's Python with these arguments in the folder; its exit status.

        `on_line` gets each line of its standard output when it comes. A guest that a signal
        ended has 128 plus its number. No run is too long as long as lines come; one that is
        silent for `silence_s` is given up. If `on_line` raises, the guest is given up too.
        """

    def last_errors(self) -> str:
        """The end of what the last `run` wrote to standard error."""

    def ask(self, script: str) -> str:
        """The standard output of a short shell script, one line, run in the folder.

        DeviceError where its status is not 0.
        """

    def pull(self, name: str, path: Path) -> None:
        """Copy one file back; `path` is written whole or not at all."""

    def stop(self) -> None:
        """End what runs there, from another thread: its `run` raises DeviceError."""
