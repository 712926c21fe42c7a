"""The archive's commands: `conduct`, `count` or `outputs` JOB.json, `worker CORES`, `facts` ...

... and `vectors`, which needs Python and NumPy alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

#: The archive runs on this Python and later.
NEEDS_PYTHON = (3, 10)

#: Commands that take a job: time it, count it under an emulator, or compute its outputs.
JOBS = ("conduct", "count", "outputs")


def main() -> int:
    """Run one command; the exit status."""
    if sys.version_info < NEEDS_PYTHON:
        needed = ".".join(map(str, NEEDS_PYTHON))
        print(f"error: Python {sys.version.split()[0]} came, {needed} is needed", file=sys.stderr)
        return 2
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "worker":
        from atpn_benchmarks.guest import worker

        worker.main([int(core) for core in sys.argv[2].split(",") if core])
        return 0
    if command in JOBS:
        _perform(command, Path(sys.argv[2]).resolve())
        return 0
    if command == "facts":
        from atpn_benchmarks.guest import facts

        _tell({"event": "facts", "machine": facts.machine()})
        return 0
    if command == "vectors":
        from atpn_benchmarks.guest import vectors

        _tell({"event": "vectors", **vectors.outcome()})
        return 0
    expected = ", ".join((*JOBS, "worker", "facts"))
    print(f"error: {command!r} came; expected {expected} or vectors", file=sys.stderr)
    return 2


def _perform(command: str, path: Path) -> None:
    """A job, in its own folder."""
    from atpn_benchmarks.guest.conductor import Conductor
    from atpn_benchmarks.guest.job import Job
    from atpn_benchmarks.guest.one_by_one import OneByOne, count, take_outputs
    from atpn_benchmarks.guest.process import this_guest

    guest = this_guest()
    job = Job.read(path)
    os.chdir(path.parent)
    if command == "conduct":
        Conductor(job, guest, _tell).perform()
    else:
        OneByOne(job, guest, _tell).perform(count if command == "count" else take_outputs)


def _tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
