"""A local Ray cluster of two workers, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, os, sys
from pathlib import Path
from stand_in import StandIn
from atpn_deploy.errors import FleetError
from atpn_exporters.fleet.bar import FleetBar
from atpn_exporters.fleet.coordinator import Coordinator, FleetRequest
from atpn_exporters.fleet.listing import list_videos
from atpn_exporters.fleet.ray_crew import RayCrew
from atpn_exporters.fleet.results import Recipe
from rich.console import Console

root, address, refuses = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
videos, results = root / "videos", root / "results"
request = FleetRequest(videos, results, list_videos(videos, results), Recipe("model", "options"))
setup = StandIn(root / "begun", refuses)
try:
    coordinator = Coordinator(request, FleetBar(Console()))
    report = coordinator.run(lambda videos: RayCrew(address, 2, videos, setup))
except FleetError as error:
    print(json.dumps({"error": str(error)}))
else:
    print(json.dumps(report.as_dict() | {"pid": os.getpid()}))
"""


def run(fleet, address: str = "local", refuses: str = "") -> dict[str, Any]:
    """What the program says last; it must say nothing on standard error."""
    path = [str(Path(__file__).parent), *sys.path]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(fleet.root), address, refuses],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )
    assert result.stderr == ""
    assert result.returncode == 0
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


@pytest.mark.needs("ray")
def test_two_workers_do_each_video_once_and_survive_one_that_dies(fleet) -> None:
    for number in range(8):
        fleet.add(f"{number}.mp4")
    fleet.add("once.mp4", "kill-once")
    fleet.add("crash.mp4", "crash")
    fleet.add("broken.mp4", "broken")
    told = run(fleet)

    failures = {failure["video"]: failure["reason"] for failure in told["failures"]}
    assert (told["whole"], told["workers"], told["retries"]) == (9, 2, 2)
    assert failures.keys() == {"crash.mp4", "broken.mp4"}
    assert "ZeroDivisionError: a mistake in the code; tried 2 times" in failures["crash.mp4"]
    assert failures["broken.mp4"] == "holds no frame that can be decoded"
    assert [fleet.begun().count(f"{number}.mp4") for number in range(8)] == [1] * 8
    assert len(fleet.begun_by()) > 2
    assert fleet.left_over() == []
    assert list(Path("/tmp").glob(f"atpn-ray-{told['pid']}-*")) == []

    # What a cluster did is done for a run without one.
    (fleet.videos / "broken.mp4").write_text("whole\n1\n")
    (fleet.videos / "crash.mp4").write_text("whole\n1\n")
    again = fleet.run()
    assert (again.done_before, again.whole, again.ok) == (9, 2, True)


@pytest.mark.needs("ray")
def test_a_cluster_that_is_not_there_is_told_with_what_to_type(fleet) -> None:
    fleet.add("a.mp4")
    told = run(fleet, "auto")

    assert "no Ray cluster at auto" in told["error"]
    assert "ray start --head" in told["error"]
