"""A device that has a POSIX shell, which is every one: what is typed there, whatever the wire."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from atpn_benchmarks.devices.conversation import Conversation, framed
from atpn_benchmarks.devices.device import DeviceError, DeviceLostError
from atpn_benchmarks.devices.python_there import PYTHONS, VARIABLE, PythonThere, parsed, questions
from atpn_benchmarks.devices.wire import Wire

#: Where the folder on a device is made instead of its own temporary folder.
FOLDER_VARIABLE = "ATPN_DEVICE_FOLDER"

#: Longest time for anything but a guest and a copy: a board's Python may start for seconds.
_SHORT_S = 60.0
#: Copying takes no longer than this, at the pace of a bad wireless link.
_BYTES_PER_S = 50_000
#: How long one attempt to clean up may take.
_CLEANING_S = 15.0
#: A guest silent for this long is asked about: is its device still there?
_QUIET_S = 30.0
#: So many names in one command.
_NAMES = 100


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


class PosixDevice:
    """A `Device` behind a wire.

    A process there holds the session: it makes the folder, and when its standard input ends, by
    our leaving, our death or a broken connection, it ends what runs there and removes it.
    """

    def __init__(self, name: str, wire: Wire, habits: Habits | None = None) -> None:
        self._name = name
        self._wire = wire
        self._habits = habits or Habits()
        self._folder = ""
        self._holder: Conversation | None = None
        self._talks: list[Conversation] = []
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
            self._clean()
        finally:
            for talk in self._talks:
                talk.end()
            self._wire.close()

    def _started(self, argv: Sequence[str], source: Path | None = None) -> Conversation:
        """A process of the wire, which `stop` and leaving end."""
        if self._stopped:
            raise DeviceError(f"{self.name} was stopped")
        try:
            talk = Conversation(argv, source)
        except OSError as error:
            raise DeviceError(f"{self.name}: can't start {argv[0]}: {error.strerror}") from error
        self._talks.append(talk)
        return talk

    def _ended(self, talk: Conversation) -> None:
        talk.end()
        self._talks.remove(talk)

    def _gone(self, talk: Conversation, lost: bool = True) -> DeviceError:
        """The error of a process that ended without a status of its script."""
        if self._stopped:
            return DeviceError(f"{self.name} was stopped")
        talk.end()
        meaning = self._wire.meaning(talk.errors)
        if lost:
            return DeviceLostError(f"{self.name} went away: {meaning or 'the connection broke'}")
        return DeviceError(f"{self.name}: {meaning or 'its shell says nothing'}")

    def _held_folder(self) -> str:
        """Make the folder, and leave a process there that removes it when we are gone."""
        asked = os.environ.get(FOLDER_VARIABLE)
        roots = [shlex.quote(asked)] if asked else list(self._habits.folders)
        made = " || ".join(
            f"{{ [ -n {root} ] && f=$(mktemp -d {root}/atpn-bench.XXXXXX 2>/dev/null); }}"
            for root in roots
        )
        script = (
            f"trap '' HUP; {made} || exit 3; cd $f && f=$(pwd -P) && cd / && echo $f; "
            f"cat >/dev/null; {_sweep('$f')}; rm -rf $f"
        )
        holder = self._started(self._wire.holding(f"sh -c {shlex.quote(framed(script))}"))
        self._holder = holder
        until = time.monotonic() + _SHORT_S
        for line in holder.lines(1.0):
            if line:
                return line
            if time.monotonic() > until:
                raise DeviceError(f"{self.name} has not answered for {_SHORT_S:.0f} s")
        if holder.status is None:
            raise self._gone(holder, lost=False)
        tried = asked or " or ".join(root.strip('"') for root in roots)
        raise DeviceError(
            f"{self.name}: no folder can be made in {tried}: name one that can be written to: "
            f"{FOLDER_VARIABLE}=PATH"
        )

    def _clean(self) -> None:
        """End what runs there and remove the folder; once more anew where that fails."""
        holder, self._holder = self._holder, None
        if holder is None:
            return
        holder.hang_up()
        holder.output(_CLEANING_S)
        self._ended(holder)
        if holder.status == 0 or not self._folder:
            return
        folder = shlex.quote(self._folder)
        again = Conversation(self._wire.running(self._line(f"{_sweep(folder)}; rm -rf {folder}")))
        try:
            again.output(_CLEANING_S)
        finally:
            again.end()
        if again.status != 0:
            self._left_behind = f"{self._folder} may still be on {self.name}"

    def _line(self, script: str) -> str:
        return f"sh -c {shlex.quote(framed(script))}"

    def _told(self, script: str, limit_s: float = _SHORT_S, source: Path | None = None) -> Told:
        """Run a script to its end."""
        talk = self._started(self._wire.running(self._line(script)), source)
        try:
            output = talk.output(limit_s)
            if output is None:
                raise DeviceLostError(f"{self.name} has not answered for {limit_s:.0f} s")
            if talk.status is None:
                raise self._gone(talk)
        finally:
            self._ended(talk)
        return Told(talk.status, output, talk.errors)

    def ask(self, script: str) -> str:
        """The standard output of a short shell script, one line, run in the folder."""
        told = self._told(f"cd {shlex.quote(self._folder)} && {{ {script}; }}")
        if told.status != 0:
            raise DeviceError(f"{self.name}: {script!r} there: {told.why}")
        return told.output

    def _found_python(self) -> PythonThere:
        """The first Python that starts there, if a guest can run on it."""
        asked = os.environ.get(VARIABLE)
        pythons = (shlex.quote(asked),) if asked else self._habits.pythons
        for command in pythons:
            told = self._told(f"{command} {questions()}")
            python = parsed(command, told.output) if told.status == 0 else None
            if python and python.lacking:
                raise DeviceError(f"{self.name} {python.lacking}")
            if python:
                return python
            if told.status not in (126, 127):
                raise DeviceError(f"{self.name}: {command} does not start there: {told.why}")
        looked = " or ".join(pythons)
        raise DeviceError(
            f"{self.name} has no Python: looked for {looked}; {self._habits.no_python}; or say "
            f"where it is: {VARIABLE}=PATH"
        )

    def push(self, files: Mapping[str, Path]) -> None:
        """Copy files or folders there, by their names there, and hold their sizes against ours."""
        sizes = {}
        copies = dict(_copies(files))
        for name, path in copies.items():
            self._inside(name)
            try:
                sizes[name] = path.stat().st_size
            except OSError as error:
                raise DeviceError(f"can't read {path}: {error.strerror}") from error
        self._hold_room(sum(sizes.values()))
        folders = sorted({name.rpartition("/")[0] for name in copies} - {""})
        for some in _parts(folders):
            self.ask(f"mkdir -p {_words(some)}")
        for name, path in copies.items():
            limit_s = _SHORT_S + sizes[name] / _BYTES_PER_S
            told = self._told(f"cat >{shlex.quote(self._inside(name))}", limit_s, path)
            if told.status != 0:
                raise DeviceError(f"{self.name}: can't write {name} there: {told.why}")
        self._hold_sizes(sizes)

    def _inside(self, name: str) -> str:
        """The absolute path of a name there."""
        parts = name.split("/")
        if name.startswith("/") or {"", ".", ".."} & set(parts) or not name.isprintable():
            raise DeviceError(f"{name!r} can't be a name on {self.name}: it would leave its folder")
        return f"{self._folder}/{name}"

    def _hold_room(self, size_bytes: int) -> None:
        """DeviceError if less than that is free there; a `df` that can't be read holds nothing."""
        told = self._told(f"df -Pk {shlex.quote(self._folder)}")
        if found := re.findall(r"(\d+)\s+\d+%\s", told.output):
            free = int(found[-1]) * 1024
            if free < size_bytes:
                raise DeviceError(
                    f"{self.name} has {free / 1e6:.1f} MB left in {self._folder}, and "
                    f"{size_bytes / 1e6:.1f} MB are to go there: free some, or name another "
                    f"folder there: {FOLDER_VARIABLE}=PATH"
                )

    def _hold_sizes(self, sizes: Mapping[str, int]) -> None:
        for some in _parts(sorted(sizes)):
            told = self.ask(f"for name in {_words(some)}; do wc -c <$name; done")
            for name, size in zip(some, told.split(), strict=False):
                if int(size) != sizes[name]:
                    raise DeviceError(
                        f"{self.name}: {name} arrived with {size} bytes of {sizes[name]}"
                    )
            if len(told.split()) != len(some):
                raise DeviceError(f"{self.name}: not every file has arrived")

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run the device's Python with these arguments in the folder; its exit status."""
        if self.python is None:
            raise DeviceError(f"{self.name}: its Python was not looked for")
        return self.command(f"{self.python.command} {_words(guest)}", on_line)

    def command(self, words: str, on_line: Callable[[str], None]) -> int:
        """Run any program, given as words of the device's shell, as `run` runs Python."""
        script = f"cd {shlex.quote(self._folder)} && exec {words} </dev/null"
        talk = self._started(self._wire.running(self._line(script)))
        silent_since = time.monotonic()
        try:
            for line in talk.lines(_QUIET_S):
                if line is not None:
                    on_line(line)
                    silent_since = time.monotonic()
                    continue
                self._told("true")  # raises if nothing answers
                if time.monotonic() - silent_since > self._habits.silence_s:
                    raise DeviceError(
                        f"{self.name}: the guest has said nothing for "
                        f"{self._habits.silence_s:.0f} s and was given up"
                    )
            if talk.status is None:
                raise self._gone(talk)
        finally:
            self._ended(talk)
            self._last_errors = talk.errors
        return talk.status

    def pull(self, name: str, path: Path) -> None:
        """Copy one file back; `path` is written whole or not at all."""
        there = shlex.quote(self._inside(name))
        size = self._told(f"wc -c <{there}")
        if size.status != 0:
            raise DeviceError(f"{self.name}: can't read {name} there: {size.why}")
        count = int(size.output)
        # In hexadecimal, which any wire and any greeting leaves whole.
        told = self._told(f"od -A n -v -t x1 {there}", _SHORT_S + 3 * count / _BYTES_PER_S)
        content = bytes.fromhex("".join(told.output.split()))
        if len(content) != count:
            raise DeviceError(f"{self.name}: {name} came with {len(content)} bytes of {count}")
        _write_whole(path, content)

    def stop(self) -> None:
        """End what runs there, from another thread: its `run` raises DeviceError."""
        self._stopped = True
        for talk in list(self._talks):
            if talk is not self._holder:
                talk.end()


@dataclass(frozen=True)
class Told:
    """What a script there has said."""

    status: int
    output: str
    errors: str

    @property
    def why(self) -> str:
        """The last line of its errors, or its status."""
        return self.errors.strip().rpartition("\n")[2] or f"exit status {self.status}"


def _sweep(folder: str) -> str:
    """A script that ends every process that works in the folder; where /proc tells, that is."""
    return (
        "for p in /proc/[0-9]*; do case $(readlink $p/cwd 2>/dev/null) in "
        f"{folder}|{folder}/*) kill -9 ${{p#/proc/}};; esac; done"
    )


def _copies(files: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """Each file by its name there; those of a folder under the folder's name."""
    for name, path in files.items():
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file():
                    yield f"{name}/{inner.relative_to(path).as_posix()}", inner
        else:
            yield name, path


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _NAMES):
        yield names[start : start + _NAMES]


def _words(arguments: Sequence[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)


def _write_whole(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
