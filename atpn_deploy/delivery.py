"""Files are filled aside and renamed when they are whole: nothing half-written bears their name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from atpn_deploy.errors import AtpnError, ConfigError

#: Stands for standard output, where a file may be named.
STDOUT = Path("-")


def aside_of(path: Path) -> Path:
    """Where `path` is filled: a hidden neighbour of the same suffix, of this process alone.

    The suffix stays because writers go by it.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def deliver(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file aside, then rename it to `path`.

    Raises AtpnError where that fails; what was at `path` is then still there.
    """
    aside = aside_of(path)
    try:
        write(aside)
        aside.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def deliver_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a file whole or not at all, or to standard output for `-`."""
    if path == STDOUT:
        sys.stdout.write(text)
    else:
        deliver(path, lambda aside: _write_text(aside, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def cannot_write(path: Path, error: OSError) -> AtpnError:
    """The one line that says so."""
    return AtpnError(f"{path} cannot be written: {error.strerror or error}")


def check_file(path: Path, *, source: Path, force: bool) -> None:
    """Refuse, with ConfigError, a file that could not or must not be written.

    `source` is what is read: it is never overwritten. Other files are with `force`.
    """
    if path.exists() and source.exists() and path.samefile(source):
        raise ConfigError(f"{path} is the input itself; name another file")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; expected a file name")
    check_parent(path)
    if path.exists() and not force:
        raise ConfigError(f"{path} exists; add --force to overwrite it")


def check_parent(path: Path) -> None:
    """Refuse, with ConfigError, a path whose folder is not there or takes no files."""
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is not a folder; make it first")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path.parent} is not writable; {path.name} cannot be put there")
