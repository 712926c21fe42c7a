"""Commands of the system that a set-up needs: apt, pip, a compiler."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from atpn_deploy.errors import ArmError


class CommandError(ArmError):
    """A command that failed; `errors` is all that it wrote to standard error."""

    def __init__(self, message: str, errors: str) -> None:
        super().__init__(message)
        self.errors = errors


def output(
    argv: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    install: str = "",
) -> str:
    """What a command prints; `install` is what to type where there is no such command."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, **(environment or {}), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        hint = f": {install}" if install else ""
        raise ArmError(f"can't run {argv[0]} ({error.strerror}){hint}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CommandError(f"{Path(argv[0]).name}: {lines[-1]}", done.stderr)
    return done.stdout
