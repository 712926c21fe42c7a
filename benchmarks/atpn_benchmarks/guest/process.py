"""A worker process seen from the conductor: commands go in, answers come out, a death is told."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from atpn_deploy.closing import Closing
from atpn_deploy.errors import AtpnError

#: Words that start this Python, where that is more than its own path: under an emulator the system
#: can't start it by that.
PYTHON_VARIABLE = "ATPN_GUEST_PYTHON"

#: A worker that answers nothing for so long is taken for hung.
PATIENCE_S = 300.0

#: How long a worker may take to end once its input has.
GRACE_S = 5.0


class WorkerError(AtpnError):
    """A worker that refused, crashed or hung; says which, and the last it wrote."""


class WorkerProcess(Closing):
    """One worker; `command` starts it, such as (python, guest.pyz)."""

    def __init__(
        self,
        command: Sequence[str],
        cores: Sequence[int],
        threads: int,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        # Runtimes that ask OpenMP or a pool of their own, not the session, for their threads. ONNX
        # Runtime's telemetry has a thread that works whenever it likes.
        ours = {"OMP_NUM_THREADS": str(threads), "ORT_DISABLE_TELEMETRY": "1"}
        environment = {**os.environ, **ours}
        self._process = subprocess.Popen(
            [*command, "worker", ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        self._selector = selectors.DefaultSelector()
        if self._process.stdout is not None:
            self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give one command and wait for its answer; WorkerError where none comes or it refuses."""
        if self._process.stdin is None or self._process.stdout is None:
            raise WorkerError("the worker has no pipes")
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._death()) from None
        if not self._selector.select(self._patience_s):
            self._process.kill()
            raise WorkerError(f"hung: no answer to {do!r} for {self._patience_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._death())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(str(answer["error"]))
        return answer

    def _death(self) -> str:
        """How the process ended, and the last line it wrote."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        if status < 0:
            return f"crashed with {signal.Signals(-status).name}{last}"
        return f"ended with status {status}{last}"

    def cpu_s(self) -> float:
        """Processor seconds that it has taken so far; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it, by force if it takes longer than GRACE_S."""
        self._selector.close()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        deadline = time.monotonic() + GRACE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


def this_guest() -> tuple[str, ...]:
    """What starts the running archive once more."""
    python = shlex.split(os.environ.get(PYTHON_VARIABLE, "")) or [sys.executable]
    return (*python, os.path.abspath(sys.argv[0]))
