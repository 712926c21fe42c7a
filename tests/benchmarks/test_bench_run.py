"""From what a guest tells to rows: each state with its reason, also when the line goes dead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from atpn_benchmarks import bench_run
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.bench_run import run_on
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.devices.device import DeviceError, DeviceLostError
from atpn_benchmarks.guest.job import Job
from atpn_benchmarks.latency import Rules
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import Row, Run
from atpn_deploy.golden import Golden

RULES = Rules(samples=10, seconds=0.0, width=1.0)
MACHINE = {
    "cpu": "Cortex-A76",
    "architecture": "aarch64",
    "cores": 4,
    "memory_bytes": 2**30,
    "features": ["asimddp"],
    "system": "Linux",
    "libc": "glibc 2.36",
    "python": "3.11.2",
}
STATE: dict[str, Any] = {"governor": "performance", "frequency_hz": None, "temperature_c": 50.0}
BEGIN = {
    "event": "begin",
    "machine": MACHINE,
    "cores": [2, 3],
    "conditions": STATE,
    "timer_overhead_s": 1e-7,
}
END = {"event": "end", "conditions": {**STATE, "temperature_c": 61.0}, "competing_load": 0.01}


class FakeDevice:
    """Says its lines, then ends with a status or goes away."""

    def __init__(self, *events: dict[str, Any], status: int = 0, lost: str = "") -> None:
        self.name = "ssh:pi@board"
        self.remarks: tuple[str, ...] = ()
        self.job: Job | None = None
        self.files: dict[str, Path] = {}
        self._events, self._status, self._lost = events, status, lost

    def push(self, files: Mapping[str, Path]) -> None:
        self.files = dict(files)
        self.job = Job.read(files["job.json"])

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        assert list(guest) == ["guest.pyz", "conduct", "job.json"]
        on_line("Linux board 6.1.0: welcome")  # as a login may
        for event in self._events:
            on_line(json.dumps(event))
        if self._lost:
            on_line('{"event": "burst", "name": "a", "thr')
            raise DeviceLostError(self._lost)
        return self._status

    def last_errors(self) -> str:
        return "Killed"

    def pull(self, name: str, path: Path) -> None:
        raise AssertionError(f"{name} was not expected to be pulled")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        return


def opened(name: str, threads: int = 1) -> dict[str, Any]:
    return {
        "event": "open",
        "name": name,
        "threads": threads,
        "load_s": 0.02,
        "first_s": 0.003,
        "idle_bytes": 10,
        "runtime": "LiteRT 2.3.0",
        "kernel_family": "litert-xnnpack",
    }


def burst(name: str, wall_ns: list[int], threads: int = 1) -> dict[str, Any]:
    values = {"per_round": len(wall_ns), "wall_ns": wall_ns, "cpu_ns": wall_ns}
    return {"event": "burst", "name": name, "threads": threads, **values}


def memory(name: str) -> dict[str, Any]:
    return {"event": "memory", "name": name, "threads": 1, "peak_bytes": 77, "resident_bytes": 1}


def whole(name: str) -> list[dict[str, Any]]:
    return [opened(name), *[burst(name, [1_000_000] * 10) for _ in range(5)], memory(name)]


@pytest.fixture
def candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Candidate, ...]:
    """A file of ours, a peer, and a target that was never exported."""
    monkeypatch.setattr(bench_run, "cost_of", lambda path, signature: None)
    monkeypatch.setattr(bench_run, "delegation_of", lambda path: None)
    golden = Golden(
        ("face",),
        np.zeros((1, 112, 112, 3), np.uint8),
        np.ones(1, bool),
        {"landmarks": np.zeros((1, 98, 2), np.float32)},
    )
    found = []
    for name, peer in (("a.pte", False), ("b.tflite", True)):
        path = tmp_path / name
        path.write_bytes(b"file")
        target = "" if peer else "executorch-fp32"
        row = Row(name[0], name, target, "atpn-lite", "" if peer else "align", peer, "not run")
        found.append(Candidate(row, path, None if peer else golden))
    never = Row("onnx-fp32", "onnx fp32", "onnx-fp32", "", "", False, "not run", "never exported")
    return (*found, Candidate(never))


def run(candidates: tuple[Candidate, ...], device: FakeDevice, **options: Any) -> Run:
    plan = BenchPlan(candidates, rules=RULES, peaks=False, **options)
    return run_on(device, plan, Silent())


def test_samples_become_timings_and_the_machine_is_the_devices(
    candidates: tuple[Candidate, ...],
) -> None:
    found = run(candidates, FakeDevice(BEGIN, *whole("a"), *whole("b"), END))

    assert [row.state for row in found.rows] == ["timed", "timed", "not run"]
    timing = found.rows[0].timings[0]
    assert timing.wall_s == pytest.approx([1e-3] * 50)
    assert (timing.load_s, timing.first_s, timing.peak_memory_bytes) == (0.02, 0.003, 77)
    assert timing.summary is not None
    assert timing.summary.p50_s == pytest.approx(1e-3)
    assert found.machine.cpu == "Cortex-A76"
    assert (found.before.temperature_c, found.after.temperature_c) == (50.0, 61.0)
    assert found.settings.cores == (2, 3)
    assert found.rows[2].reason == "never exported"
    assert found.problems == ()


def test_files_travel_under_numbers_with_their_references(
    candidates: tuple[Candidate, ...],
) -> None:
    device = FakeDevice(BEGIN, END)
    run(candidates, device, threads=(1, 2), cores=(3,))
    assert device.job is not None
    ours, peer = device.job.entries
    assert (ours.path, ours.signature, ours.target) == ("files/0.pte", "align", "executorch-fp32")
    assert ours.expected in device.files
    assert (peer.path, peer.target, peer.expected) == ("files/1.tflite", "", "")
    assert {"guest.pyz", "job.json", "images.npy"} <= set(device.files)
    assert (device.job.threads, device.job.cores) == ((1, 2), (3,))


def test_a_file_that_is_off_is_not_timed_and_says_how_far(
    candidates: tuple[Candidate, ...],
) -> None:
    row = {
        "output": "pose",
        "statistic": "max",
        "unit": "degree",
        "scope": "all",
        "error": 1.28,
        "limit": 0.5,
        "reason": "because",
        "worst": 3,
    }
    drift = {
        "event": "drift",
        "name": "a",
        "complaint": "pose is off by 1.28 degree",
        "rows": [row],
    }
    found = run(candidates, FakeDevice(BEGIN, opened("a"), drift, *whole("b"), END)).rows[0]
    assert (found.state, found.reason) == ("not timed", "pose is off by 1.28 degree")
    assert (found.drift[0].error, found.drift[0].unit) == (1.28, "degree")
    assert found.timings == ()


def test_a_failure_keeps_its_reason(candidates: tuple[Candidate, ...]) -> None:
    failed = {"event": "failed", "name": "a", "state": "failed", "reason": "crashed with SIGILL"}
    found = run(candidates, FakeDevice(BEGIN, failed, *whole("b"), END)).rows
    assert (found[0].state, found[0].reason) == ("failed", "crashed with SIGILL")
    assert found[1].state == "timed"


def test_a_broken_rule_makes_the_row_invalid(candidates: tuple[Candidate, ...]) -> None:
    few = [opened("a"), burst("a", [1_000_000] * 9), memory("a")]
    found = run(candidates, FakeDevice(BEGIN, *few, *whole("b"), END)).rows[0]
    assert found.state == "invalid"
    assert "9 undisturbed samples (at least 10)" in found.reason


def test_competing_load_makes_every_row_invalid(candidates: tuple[Candidate, ...]) -> None:
    busy = {**END, "competing_load": 0.62}
    found = run(candidates, FakeDevice(BEGIN, *whole("a"), *whole("b"), busy)).rows
    assert [row.state for row in found[:2]] == ["invalid", "invalid"]
    assert "others used 62% of the measuring core (at most 25%)" in found[0].reason


def test_a_lost_connection_keeps_what_was_heard_and_marks_it(
    candidates: tuple[Candidate, ...],
) -> None:
    lost = FakeDevice(BEGIN, opened("a"), burst("a", [1_000_000] * 10), lost="board: gone")
    found = run(candidates, lost)
    assert [(row.state, row.reason) for row in found.rows[:2]] == [
        ("partial", "board: gone"),
        ("failed", "board: gone"),
    ]
    assert len(found.rows[0].timings[0].wall_s) == 10
    assert found.problems == ("board: gone",)


def test_a_guest_that_dies_is_told_with_its_status_and_last_words(
    candidates: tuple[Candidate, ...],
) -> None:
    found = run(candidates, FakeDevice(BEGIN, *whole("a"), status=137))
    assert found.problems == ("the guest ended with status 137: Killed",)
    assert found.rows[0].state == "partial"


def test_a_guest_that_says_nothing_is_an_error(candidates: tuple[Candidate, ...]) -> None:
    with pytest.raises(DeviceError, match="status 1: Killed"):
        run(candidates, FakeDevice(status=1))


def test_a_thread_count_without_samples_is_no_success(candidates: tuple[Candidate, ...]) -> None:
    found = run(candidates, FakeDevice(BEGIN, *whole("a"), *whole("b"), END), threads=(1, 2))
    assert found.rows[0].state == "failed"


def test_what_cannot_be_counted_is_a_problem_not_an_end(
    candidates: tuple[Candidate, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, signature: str | None) -> None:
        raise DeviceError("no reader")

    monkeypatch.setattr(bench_run, "cost_of", refuse)
    found = run(candidates, FakeDevice(BEGIN, *whole("a"), *whole("b"), END))
    assert found.problems == ("a is not counted: no reader", "b is not counted: no reader")
    assert found.rows[0].state == "timed"


def test_files_of_one_name_show_their_folders(tmp_path: Path) -> None:
    row = Row("a.onnx", "a", "", "a", "", True, "not run")
    same = [Candidate(row, tmp_path / folder / "a.onnx") for folder in ("x", "y")]
    other = Candidate(replace(row, name="b.onnx"), tmp_path / "b.onnx")
    names = [candidate.row.name for candidate in bench_run.distinct([*same, other])]
    assert names == ["x/a.onnx", "y/a.onnx", "b.onnx"]
