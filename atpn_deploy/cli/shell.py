"""What every command shares: errors as one line on stderr, exit status, Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import typer

from atpn_deploy.errors import AtpnError

#: What a shell reports for a process that SIGINT ended.
INTERRUPTED = 130


class InterruptionError(Exception):
    """A command that a signal ended, after it had put away what was done; says what that is."""

    def __init__(self, told: str, exit_status: int = INTERRUPTED) -> None:
        super().__init__(told)
        self.exit_status = exit_status


def main_of(
    app: typer.Typer, commands: Mapping[str, str] = MappingProxyType({})
) -> Callable[[], None]:
    """The console script of `app`: an AtpnError becomes one line and its exit status.

    `commands` are first words that are commands of their own, with the modules whose `main` takes
    over.
    """

    def main() -> None:
        first = sys.argv[1] if len(sys.argv) > 1 else ""
        if first in commands:
            sys.argv[:2] = [f"{Path(sys.argv[0]).name} {first}"]
            import_module(commands[first]).main()
            return
        try:
            app()
        except AtpnError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_status)
        except InterruptionError as stop:
            print(f"interrupted: {stop}", file=sys.stderr)
            sys.exit(stop.exit_status)
        except SystemExit as stop:  # typer has turned KeyboardInterrupt into it, and says nothing
            if stop.code == INTERRUPTED:
                print("interrupted", file=sys.stderr)
            raise
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(INTERRUPTED)

    return main


def write_or_print(path: Path, text: str) -> None:
    """Write to a file, or to standard output for `-`; AtpnError where it can't be written."""
    if path == Path("-"):
        print(text, end="")
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise AtpnError(f"cannot write {path}: {error.strerror}") from error
