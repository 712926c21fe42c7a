"""What native code writes to file descriptor 2, caught instead of shown."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Catch descriptor 2 inside the block; the yielded list holds its lines afterwards.

    Runtimes announce their delegates there, past Python's `sys.stderr`. Other threads that write
    to the descriptor meanwhile are caught too, so keep the block short.
    """
    lines: list[str] = []
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        try:
            os.dup2(caught.fileno(), 2)
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines += caught.read().decode(errors="replace").splitlines()
