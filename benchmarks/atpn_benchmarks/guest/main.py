"""The archive's commands: `conduct JOB.json`, `count JOB.json`, `worker CORES`, `facts`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

#: The archive runs on this Python and later.
NEEDS_PYTHON = (3, 10)


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
    if command in ("conduct", "count"):
        from atpn_benchmarks.guest.conductor import Conductor
        from atpn_benchmarks.guest.job import Job
        from atpn_benchmarks.guest.process import this_guest
        from atpn_benchmarks.guest.region_counter import RegionCounter

        path, command_line = Path(sys.argv[2]).resolve(), this_guest()
        job = Job.read(path)
        os.chdir(path.parent)
        work = Conductor if command == "conduct" else RegionCounter
        work(job, command_line, _tell).perform()
        return 0
    if command == "facts":
        from atpn_benchmarks.guest import facts

        _tell({"event": "facts", "machine": facts.machine()})
        return 0
    print(f"error: {command!r} came; expected worker, conduct, count or facts", file=sys.stderr)
    return 2


def _tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
