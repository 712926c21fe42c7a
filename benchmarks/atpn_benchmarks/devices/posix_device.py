"""A device that has a POSIX shell, which is every one: what is typed there, whatever the wire."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from atpn_benchmarks.devices import transfer
from atpn_benchmarks.devices.conversation import Conversation, framed
from atpn_benchmarks.devices.device import DeviceError, DeviceLostError, Measures
from atpn_benchmarks.devices.python_there import PYTHONS, VARIABLE, PythonThere, parsed, questions
from atpn_benchmarks.devices.transfer import FOLDER_VARIABLE, SHORT_S, Told
from atpn_benchmarks.devices.wire import Wire

#: How long one attempt to clean up may take.
_CLEANING_S = 20.0
#: A guest silent for so long is asked about: is its device still there?
_QUIET_S = 30.0
#: Status of a shell for a command that it can't start, or can't find.
_NO_COMMAND = (126, 127)
#: Status of the holding script where no folder can be made.
_NO_FOLDER = 3


@dataclass(frozen=True)
class Habits:
    """What differs between devices beside the wire."""

    #: How a Python guest is started, as words of the device's shell, in the order to try; empty
    #: where none is needed.
    pythons: tuple[str, ...] = PYTHONS
    #: Where a folder of our own may be made, as words of the device's shell, in the order to try.
    folders: tuple[str, ...] = ('"$TMPDIR"', "/tmp", '"$HOME"')
    #: What to type where there is no Python.
    no_python: str = "on Debian and its kin, type there: sudo apt install python3-venv"
    #: A guest without a line for so long is given up.
    silence_s: float = 900.0
    #: Whether the variables that name a Python and a folder are about this device: they name what
    #: is on a board, and this machine may take part in the same run.
    variables: bool = True
    measures: Measures = "time"
    #: How long its Python may take to start and to import NumPy.
    start_s: float = SHORT_S


class PosixDevice:
    """A `Device` behind a wire.

    A script there holds the session: it makes the folder, and when its standard input ends, by
    our leaving, our death or a broken connection, it ends what runs there and removes it.
    """

    def __init__(self, name: str, wire: Wire, habits: Habits | None = None) -> None:
        self._name = name
        self._wire = wire
        self._habits = habits or Habits()
        self._folder = ""
        self._holder: Conversation | None = None
        self._talks: list[Conversation] = []  # beside the holder
        self._stopped = False
        self._last_errors = ""
        self._left_behind = ""
        self.python: PythonThere | None = None

    @property
    def name(self) -> str:
        """As the user asked for it."""
        return self._name

    @property
    def folder(self) -> str:
        """Absolute path of our folder there."""
        return self._folder

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of the Python there."""
        remark = self.python.remark if self.python else ""
        return (f"{self.name}: {remark}",) if remark else ()

    @property
    def measures(self) -> Measures:
        """What a run there is worth."""
        return self._habits.measures

    @property
    def left_behind(self) -> str:
        """After `with`: what could not be removed there, in a sentence."""
        return self._left_behind

    def last_errors(self) -> str:
        """The end of what the last `run` wrote to standard error."""
        return self._last_errors

    def __enter__(self) -> Self:
        try:
            self._wire.open()
            self._folder = self._held_folder()
            if self._habits.pythons:
                self.python = self._found_python()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for talk in list(self._talks):
                self._end(talk)
            self._clean()
        finally:
            if self._holder:  # Ctrl-C while it cleaned
                self._holder.end()
            self._wire.close()

    def push(self, files: Mapping[str, Path]) -> None:
        """Copy files or folders there, by their names there, and hold their sizes against ours."""
        transfer.push(self, files)

    def pull(self, name: str, path: Path) -> None:
        """Copy one file back; `path` is written whole or not at all."""
        transfer.pull(self, name, path)

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run the device's Python with these arguments in the folder; its exit status."""
        if self.python is None:
            raise DeviceError(f"{self.name}: its Python was not looked for")
        return self.command(f"{self.python.command} {shlex.join(guest)}", on_line)

    def command(self, words: str, on_line: Callable[[str], None]) -> int:
        """Run any program, given as words of the device's shell, as `run` runs Python."""
        talk = self._start(f"cd {shlex.quote(self._folder)} && exec {words} </dev/null")
        silent_since = time.monotonic()
        try:
            for line in talk.lines(_QUIET_S):
                if line is not None:
                    on_line(line)
                    silent_since = time.monotonic()
                    continue
                self.told("true")  # raises if nothing answers
                if time.monotonic() - silent_since > self._habits.silence_s:
                    raise DeviceError(
                        f"{self.name}: the guest has said nothing for "
                        f"{self._habits.silence_s:.0f} s and was given up"
                    )
            if talk.status is None:
                raise self._lost()
        finally:
            self._end(talk)
            self._last_errors = talk.errors
        return talk.status

    def ask(self, script: str) -> str:
        """The standard output of a short shell script, one line, run in the folder."""
        told = self.told(f"cd {shlex.quote(self._folder)} && {{ {script}; }}")
        if told.status != 0:
            raise DeviceError(f"{self.name}: {script!r} there: {told.why}")
        return told.output

    def told(self, script: str, limit_s: float = SHORT_S, source: Path | None = None) -> Told:
        """Run a script, one line, to its end, and give its status too; it reads `source`."""
        talk = self._start(script, source)
        try:
            output = talk.output(limit_s)
            if output is None:
                raise DeviceLostError(f"{self.name} has not answered for {limit_s:.0f} s")
            if talk.status is None:
                raise self._lost()
        finally:
            self._end(talk)
        return Told(talk.status, output, talk.errors)

    def stop(self) -> None:
        """End what runs there, from another thread: its `run` raises DeviceError."""
        self._stopped = True
        for talk in list(self._talks):
            talk.end()

    def _start(self, script: str, source: Path | None = None) -> Conversation:
        """Begin a script there, which `stop` and leaving end."""
        if self._stopped:
            raise DeviceError(f"{self.name} was stopped")
        talk = self._converse(self._wire.running(_line(script)), source)
        self._talks.append(talk)
        return talk

    def _converse(self, argv: Sequence[str], source: Path | None = None) -> Conversation:
        try:
            return Conversation(argv, source)
        except OSError as error:
            raise DeviceError(f"{self.name}: can't start {argv[0]}: {error.strerror}") from error

    def _end(self, talk: Conversation) -> None:
        talk.end()
        if talk in self._talks:
            self._talks.remove(talk)

    def _lost(self) -> DeviceError:
        """The error of a script that ended without a status."""
        if self._stopped:
            return DeviceError(f"{self.name} was stopped")
        # A guest's own errors say nothing of the wire; what holds the session has no others.
        errors = self._holder.last_words() if self._holder else ""
        meaning = self._wire.meaning(errors) or "the connection broke"
        return DeviceLostError(f"{self.name} went away: {meaning}")

    def _held_folder(self) -> str:
        """Make the folder, and leave a script there that removes it when we are gone."""
        asked = self._asked(FOLDER_VARIABLE)
        roots = (shlex.quote(asked),) if asked else self._habits.folders
        made = " || ".join(
            f"{{ [ -n {root} ] && f=$(mktemp -d {root}/atpn-bench.XXXXXX 2>/dev/null); }}"
            for root in roots
        )
        script = (
            f"trap '' HUP; {made} || exit {_NO_FOLDER}; "
            f'f=$(cd "$f" && pwd -P); echo "$f"; cat >/dev/null; {_removal("$f")}'
        )
        holder = self._holder = self._converse(self._wire.holding(_line(script)))
        until = time.monotonic() + SHORT_S
        for line in holder.lines(0.5):
            if line:
                return line
            if self._stopped:
                raise DeviceError(f"{self.name} was stopped")
            if time.monotonic() > until:
                raise DeviceError(f"{self.name} has not answered for {SHORT_S:.0f} s")
        if holder.status == _NO_FOLDER:
            tried = " or ".join(root.strip('"') for root in roots)
            raise DeviceError(
                f"{self.name}: no folder can be made in {tried}: name one that can be written "
                f"to: {FOLDER_VARIABLE}=PATH"
            )
        holder.end()
        raise DeviceError(f"{self.name}: {self._wire.meaning(holder.errors) or 'no shell answers'}")

    def _clean(self) -> None:
        """End what runs there and remove the folder; once more, anew, where that fails."""
        if self._holder is None:
            return
        self._holder.hang_up()
        self._holder.output(_CLEANING_S)
        self._holder.end(grace_s=2.0)  # ssh says goodbye
        status, self._holder = self._holder.status, None
        if status == 0 or not self._folder:
            return
        again = self._converse(self._wire.running(_line(_removal(self._folder))))
        try:
            again.output(_CLEANING_S)
        finally:
            again.end()
        if again.status != 0:
            self._left_behind = f"{self._folder} may still be on {self.name}"

    def _asked(self, variable: str) -> str | None:
        return os.environ.get(variable) if self._habits.variables else None

    def _found_python(self) -> PythonThere:
        """The first Python that starts there, if a guest can run on it."""
        asked = self._asked(VARIABLE)
        pythons = (shlex.quote(asked),) if asked else self._habits.pythons
        for command in pythons:
            told = self.told(f"{command} {questions()}", self._habits.start_s)
            python = parsed(command, told.output) if told.status == 0 else None
            if python and python.lacking:
                raise DeviceError(f"{self.name} {python.lacking}")
            if python:
                return python
            if told.status not in _NO_COMMAND:
                raise DeviceError(f"{self.name}: {command} does not start there: {told.why}")
        looked = " or ".join(pythons)
        raise DeviceError(
            f"{self.name} has no Python: looked for {looked}; {self._habits.no_python}; or say "
            f"where it is: {VARIABLE}=PATH"
        )


def _line(script: str) -> str:
    """What is typed there: a POSIX shell whatever the login shell is."""
    return f"sh -c {shlex.quote(framed(script))}"


def _removal(folder: str) -> str:
    """A script that ends every process that works in the folder, and removes it.

    `folder` is an absolute path without links, or a variable that holds one. Where there is no
    /proc (macOS) the processes are left: a guest ends when it can't speak any more.
    """
    word = f'"{folder}"' if folder.startswith("$") else shlex.quote(folder)
    return (
        'for p in /proc/[0-9]*; do case "$(readlink $p/cwd 2>/dev/null)" in '
        f'{word}|{word}/*) kill -9 "${{p#/proc/}}";; esac; done; rm -rf {word}'
    )
