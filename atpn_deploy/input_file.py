"""Files to be read: what is wrong with a path before anyone looks at its content."""

from __future__ import annotations

import os
from pathlib import Path

from atpn_deploy.errors import AtpnError


def check_is_file(path: Path, expected: str, refuse: type[AtpnError]) -> None:
    """Raise `refuse`, with what was `expected`, for a path that holds no bytes to read.

    Libraries would call a folder, or an empty file, damaged.
    """
    if path.is_dir():
        raise refuse(f"{path} is a folder; expected {expected}")
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise refuse(f"{path} does not exist; expected {expected}") from error
    except OSError as error:
        raise refuse(f"{path} cannot be read: {error.strerror}") from error
    if size_bytes == 0 and path.is_file():
        raise refuse(f"{path} is empty (0 bytes); expected {expected}")
