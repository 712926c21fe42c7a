"""A process started here that speaks for a script there: its lines, its status, its last words."""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

#: What a script prints around its own output. A login shell may greet before it, and a status
#: that the wire hands on (255 of ssh, 1 of adb) can't be told from one of the wire's own.
_BEGIN = "atpn-begin"
_END = "atpn-end"
#: How long standard error may lag behind the status, which comes by standard output, or behind
#: the end of another process of the same wire.
_LAST_WORDS_S = 2.0
#: How much of standard error is kept.
_LAST_LINES = 40


def framed(script: str) -> str:
    """The script between two lines that tell its output and its status from all else."""
    return f'echo {_BEGIN}; ( {script} ); status=$?; echo; echo "{_END} $status"'


class Conversation:
    """One process of the wire. `status` is the script's own, None until it has told it."""

    def __init__(self, argv: Sequence[str], source: Path | None = None) -> None:
        """Start it; OSError where its command is not there.

        It reads `source`, or a pipe that stays open until `hang_up`.
        """
        with contextlib.ExitStack() as stack:
            stdin = stack.enter_context(source.open("rb")) if source else subprocess.PIPE
            self._process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us; we end it in good order
            )
        self.status: int | None = None
        self._over = False
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._errors_reader = self._reading(self._overhear, self._process.stderr)
        self._readers = [self._reading(self._hear, self._process.stdout), self._errors_reader]

    @staticmethod
    def _reading(read: Callable[[IO[bytes]], None], stream: IO[bytes] | None) -> threading.Thread:
        thread = threading.Thread(target=read, args=(stream,), daemon=True)
        thread.start()
        return thread

    def _hear(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._lines.put(line.decode(errors="replace").rstrip("\r\n"))
        self._lines.put(None)

    def _overhear(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._last.append(line.decode(errors="replace").rstrip())

    def lines(self, patience_s: float) -> Iterator[str | None]:
        """Each line of the script's output; None whenever `patience_s` have passed without one.

        Ends when the script has told its status, when the process has ended without, or with
        `end` in another thread.
        """
        begun = False
        held: str | None = None  # an empty line is ours if the end follows it
        while True:
            try:
                line = self._lines.get(timeout=patience_s)
            except queue.Empty:
                yield None
                continue
            if line is None or self._over:
                return
            if ended := re.fullmatch(rf"{_END} (\d+)", line):
                self.status = int(ended[1])
                return
            if not begun:
                begun = line == _BEGIN
                continue
            if held is not None:
                yield held
            held = line if line == "" else None
            if line:
                yield line

    def output(self, limit_s: float) -> str | None:
        """All lines until the end, or None where it has not come within so many seconds."""
        until = time.monotonic() + limit_s
        heard = []
        for line in self.lines(min(limit_s, 0.5)):
            if line is not None:
                heard.append(line)
            if time.monotonic() > until:
                return None
        return "\n".join(heard)

    @property
    def errors(self) -> str:
        """The last lines of standard error until now."""
        return "\n".join(self._last)

    def last_words(self) -> str:
        """`errors` of a process that is about to end: all of them, if it does so in time."""
        self._errors_reader.join(_LAST_WORDS_S)
        return self.errors

    def hang_up(self) -> None:
        """End its standard input."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def end(self, grace_s: float = 0.0) -> None:
        """Hang up, and end the process if it doesn't by itself within so many seconds.

        One whose script has told its status is about to end, and may still bring last words.
        """
        if self.status is not None:
            grace_s = max(grace_s, _LAST_WORDS_S)
        self.hang_up()
        self._over = grace_s == 0
        for end, wait_s in ((None, grace_s), (self._process.terminate, 2.0)):
            if end:
                end()
            try:
                self._process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                continue
        else:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(0.2)  # a guest that is still to be ended may hold the pipe
        self._over = True
        self._lines.put(None)
