"""Run converter tasks in a child process and follow what it reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ExportError
from atpn_exporters.worker import Request

#: (task index, event): "start", "done" or "failed" as worker.py writes them.
OnEvent = Callable[[int, dict[str, Any]], None]

#: What the child's interpreter is told to run.
WORKER = ("-m", "atpn_exporters.worker")


def run_tasks(request: Request, log: Path, on_event: OnEvent) -> None:
    """Do all tasks; a converter that crashes fails its own task and the rest goes on afresh.

    Everything that the converters print is appended to `log`.
    """
    done = 0
    while done < len(request.tasks):
        rest = replace(request, tasks=request.tasks[done:])
        done += _run_once(rest, log, done, on_event)


def _run_once(request: Request, log: Path, offset: int, on_event: OnEvent) -> int:
    """Run one child; return how many of its tasks are finished, the crashed one included."""
    path = Path(request.workspace) / "request.json"
    request.save(path)
    finished = 0
    command = [sys.executable, *WORKER, str(path)]
    with (
        log.open("ab") as sink,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            text=True,
            env=_environment(),
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                event = json.loads(line)
                finished += event["event"] in ("done", "failed")
                on_event(offset + event["task"], event)
            status = child.wait()
        except BaseException:  # Ctrl-C included: no converter outlives the command
            child.kill()
            raise
    if finished < len(request.tasks):
        on_event(offset + finished, {"event": "failed", "error": _why(status, log)})
        finished += 1
    return finished


def _environment() -> dict[str, str]:
    """The parent's environment, quieter and with the parent's own import path."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONWARNINGS": "ignore",
    }


def _why(status: int, log: Path) -> str:
    """What ended the child, with the last line it printed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = f": {lines[-1].strip()[:300]}" if lines else ""
    if status < 0:
        return f"the converter crashed with {signal.Signals(-status).name}{last}"
    return f"the converter ended with status {status}{last}"


def raise_failure(index: int, event: dict[str, Any]) -> None:
    """An `on_event` for tasks that must all succeed: the first failure is raised."""
    if event["event"] == "failed":
        raise ExportError(event["error"])
