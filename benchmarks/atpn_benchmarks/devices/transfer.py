"""Files to a device and back through its shell alone: no scp, sftp or tar has to be there."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from atpn_benchmarks.devices.device import DeviceError

#: Where the folder on a device is made instead of its own temporary folder.
FOLDER_VARIABLE = "ATPN_DEVICE_FOLDER"

#: Longest time for anything but a guest and a copy: a board's Python may start for seconds.
SHORT_S = 60.0
#: Copying takes no longer than this, at the pace of a bad wireless link.
_BYTES_PER_S = 50_000
#: So many names in one command.
_NAMES = 100


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


class Shell(Protocol):
    """Runs scripts on a device."""

    @property
    def name(self) -> str:
        """The device's name."""

    @property
    def folder(self) -> str:
        """Absolute path of our folder there."""

    def told(self, script: str, limit_s: float = SHORT_S, source: Path | None = None) -> Told:
        """Run a script, one line, to its end; it reads `source`. DeviceLostError if it can't."""


def push(shell: Shell, files: Mapping[str, Path]) -> None:
    """Copy files or folders there, by their names there, and hold their sizes against ours."""
    copies = dict(_copies(files))
    sizes = {}
    for name, path in copies.items():
        _inside(shell, name)
        try:
            sizes[name] = path.stat().st_size
        except OSError as error:
            raise DeviceError(f"can't read {path}: {error.strerror}") from error
    _hold_room(shell, sum(sizes.values()))
    folders = sorted({name.rpartition("/")[0] for name in copies} - {""})
    for some in _parts(folders):
        _checked(shell, f"mkdir -p {_words(shell, some)}", "can't make folders there")
    for name, path in copies.items():
        limit_s = SHORT_S + sizes[name] / _BYTES_PER_S
        _checked(shell, f"cat >{_inside(shell, name)}", f"can't write {name} there", limit_s, path)
    _hold_sizes(shell, sizes)


def pull(shell: Shell, name: str, path: Path) -> None:
    """Copy one file back; `path` is written whole or not at all."""
    there, trouble = _inside(shell, name), f"can't read {name} there"
    size = int(_checked(shell, f"wc -c <{there}", trouble))
    # In hexadecimal, which any wire and any greeting leaves whole.
    limit_s = SHORT_S + 3 * size / _BYTES_PER_S
    told = _checked(shell, f"od -A n -v -t x1 {there}", trouble, limit_s)
    content = bytes.fromhex("".join(told.split()))
    if len(content) != size:
        raise DeviceError(f"{shell.name}: {name} came with {len(content)} bytes of {size}")
    _write_whole(path, content)


def _checked(
    shell: Shell, script: str, trouble: str, limit_s: float = SHORT_S, source: Path | None = None
) -> str:
    """The script's output; DeviceError where its status is not 0."""
    told = shell.told(script, limit_s, source)
    if told.status != 0:
        raise DeviceError(f"{shell.name}: {trouble}: {told.why}")
    return told.output


def _inside(shell: Shell, name: str) -> str:
    """The absolute path of a name there, as a word of its shell."""
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")) or not name.isprintable():
        raise DeviceError(f"{name!r} can't be a name on {shell.name}: it would leave its folder")
    return shlex.quote(f"{shell.folder}/{name}")


def _words(shell: Shell, names: Sequence[str]) -> str:
    return " ".join(_inside(shell, name) for name in names)


def _hold_room(shell: Shell, size_bytes: int) -> None:
    """DeviceError if less than that is free there; a `df` that can't be read holds nothing."""
    told = shell.told(f"df -Pk {shlex.quote(shell.folder)}")
    if found := re.findall(r"(\d+)\s+\d+%\s", told.output):
        free = int(found[-1]) * 1024
        if free < size_bytes:
            raise DeviceError(
                f"{shell.name} has {free / 1e6:.2f} MB left in {shell.folder}, and "
                f"{size_bytes / 1e6:.2f} MB are to go there: free some, or name another folder "
                f"there: {FOLDER_VARIABLE}=PATH"
            )


def _hold_sizes(shell: Shell, sizes: Mapping[str, int]) -> None:
    for some in _parts(sorted(sizes)):
        script = f'for name in {_words(shell, some)}; do wc -c <"$name"; done'
        arrived = [int(word) for word in _checked(shell, script, "a file is missing").split()]
        for name, size in zip(some, arrived, strict=True):
            if size != sizes[name]:
                raise DeviceError(
                    f"{shell.name}: {name} arrived with {size} bytes of {sizes[name]}"
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


def _write_whole(path: Path, content: bytes) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
    except OSError as error:
        raise DeviceError(f"can't write {path}: {error.strerror}") from error
