"""Files one after the other, with workers that are scripts: what is told of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest.one_by_one import OneByOne, count, take_outputs
from atpn_benchmarks.guest.process import PYTHON_VARIABLE, this_guest
from atpn_benchmarks.guest.regions import MARK, mark

#: Behaves as the names of its files say.
SCRIPT = """
import json, os, signal, sys
for line in sys.stdin:
    asked = json.loads(line)
    do, answer = asked.pop("do"), {}
    if do == "open":
        if "crash" in asked["entry"]["name"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        answer = {"load_s": 0.1, "first_s": 0.1, "runtime": "R 1", "kernel_family": "r"}
    elif do == "regions":
        answer = {"process": 7, "tags": list(range(1, asked["count"] + 1))}
    elif do == "operators":
        answer = {"tag": asked["tag"]}
    elif do == "outputs":
        answer = {"steps": {"pose": 0.5}}
    print(json.dumps(answer), flush=True)
"""


def told(tmp_path: Path, do: Any, *names: str, alone: str = "") -> list[dict[str, Any]]:
    (tmp_path / "worker.py").write_text(SCRIPT)
    job = Job(tuple(Entry(name, name, alone=alone) for name in names), images="images.npy")
    events: list[dict[str, Any]] = []
    OneByOne(job, (sys.executable, str(tmp_path / "worker.py")), events.append).perform(do)
    return events


def test_two_regions_of_each_file_are_told_with_where_they_lie(tmp_path: Path) -> None:
    events = told(tmp_path, count, "a", "b")

    regions = [event for event in events if event["event"] == "regions"]
    assert [(event["name"], event["process"], event["tags"]) for event in regions] == [
        ("a", 7, [1, 2]),
        ("b", 7, [1, 2]),
    ]
    assert events[0]["event"] == "begin"
    assert events[-1]["event"] == "end"


def test_the_region_of_operators_is_none_of_the_files(tmp_path: Path) -> None:
    events = told(tmp_path, count, "a", alone="a.profiled")

    (regions,) = [event for event in events if event["event"] == "regions"]
    (operators,) = [event for event in events if event["event"] == "operators"]
    assert operators["tag"] not in (0, *regions["tags"])


def test_no_time_is_told(tmp_path: Path) -> None:
    events = told(tmp_path, count, "a")

    assert [key for event in events for key in event if key.endswith(("_s", "_ns"))] == []


def test_a_crash_is_told_with_its_signal_and_the_next_file_is_counted(tmp_path: Path) -> None:
    events = told(tmp_path, count, "crash", "b")

    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["name"], failed["reason"]) == ("crash", "crashed with SIGSEGV")
    assert [event["name"] for event in events if event["event"] == "regions"] == ["b"]


def test_outputs_lie_in_a_file_of_their_own(tmp_path: Path) -> None:
    events = told(tmp_path, take_outputs, "a", "b")

    outputs = [event for event in events if event["event"] == "outputs"]
    assert [event["file"] for event in outputs] == ["outputs-0.npz", "outputs-1.npz"]
    assert outputs[0]["steps"] == {"pose": 0.5}


def test_a_region_is_around_each_call_and_nothing_else() -> None:
    seen: list[Any] = []

    mark(lambda: seen.append("call"), [0, 1], lambda *arguments: seen.append(arguments))

    assert seen == [(MARK, 1, 0), "call", (MARK, 2, 0), (MARK, 1, 1), "call", (MARK, 2, 1)]


def test_marks_are_harmless_without_an_emulator() -> None:
    calls: list[int] = []

    mark(lambda: calls.append(1), range(3))

    assert calls == [1, 1, 1]


def test_an_emulated_guest_starts_its_workers_under_the_emulator_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["/board/guest.pyz", "count"])
    monkeypatch.setenv(PYTHON_VARIABLE, "qemu -L '/my root' python3")
    assert this_guest() == ("qemu", "-L", "/my root", "python3", "/board/guest.pyz")

    monkeypatch.delenv(PYTHON_VARIABLE)
    assert this_guest() == (sys.executable, "/board/guest.pyz")
