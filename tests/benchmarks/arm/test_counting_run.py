"""From an emulated guest's regions to rows, and the rules that counts must keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks import bench_run
from atpn_benchmarks.arm import counting_run
from atpn_benchmarks.arm.counting_run import Counted, count_on
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.guest.job import Job
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import Delegation, Row

MACHINE = {
    "cpu": "Cortex-A76",
    "architecture": "aarch64",
    "cores": 4,
    "memory_bytes": 2**34,
    "features": ["asimddp"],
    "system": "Linux 6.1.0",
    "libc": "glibc 2.36",
    "python": "3.11.2",
    "board": "emulated by QEMU",
}
BEGIN = {"event": "begin", "machine": MACHINE}
END = {"event": "end"}


class Emulated:
    """Says its lines; regions hold so many dot products as `counts` tells by their tag."""

    name = "qemu:cortex-a76+caches"
    measures = "instructions"

    def __init__(self, *events: dict[str, Any], counts: Sequence[int] = (1000, 1000)) -> None:
        self._events, self._counts = events, counts
        self.job: Job | None = None
        self.status = 0

    def push(self, files: Mapping[str, Path]) -> None:
        self.job = Job.read(files["job.json"])

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        assert guest[1] == "count"
        for event in self._events:
            on_line(json.dumps(event))
        return self.status

    def last_errors(self) -> str:
        return "Segmentation fault"

    def pull(self, name: str, path: Path) -> None:
        count = self._counts[int(name.rpartition(".")[2])]
        path.write_text(
            f"block 10 {count} 4f80e090\ndata 5 6\ncache 1 11 3\ncache 2 3 1\nend {count}\n"
        )


def opened(name: str, family: str = "litert-xnnpack") -> dict[str, Any]:
    told = {"runtime": "LiteRT 2.3.0", "kernel_family": family}
    return {"event": "open", "name": name, "threads": 1, **told}


def regions(name: str) -> dict[str, Any]:
    return {"event": "regions", "name": name, "process": 42, "tags": [0, 1]}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchPlan:
    """One file of ours and a target that was never exported."""
    monkeypatch.setattr(bench_run, "cost_of", lambda path, signature: None)
    monkeypatch.setattr(bench_run, "delegation_of", lambda path: Delegation(1, 9, {}, 0))
    path = tmp_path / "a.tflite"
    path.write_bytes(b"file")
    row = Row("a", "a", "tflite-int8", "atpn-lite", "full", False, "not run")
    never = Row("onnx-fp32", "onnx fp32", "onnx-fp32", "", "", False, "not run", "never exported")
    return BenchPlan((Candidate(row, path), Candidate(never)), threads=(1, 4), warmup=10)


def counted(plan: BenchPlan, device: Emulated) -> Counted:
    return count_on(device, plan, Silent())


def test_the_second_region_is_counted_by_class(plan: BenchPlan) -> None:
    found = counted(plan, Emulated(BEGIN, opened("a"), regions("a"), END, counts=(1001, 1000)))

    row = found.run.rows[0]
    assert (row.state, row.reason) == ("counted", "")
    assert row.instructions is not None
    assert row.instructions.instructions == 1000
    assert row.instructions.by_class == {"dot product": 1000}
    assert row.instructions.spread == pytest.approx(1e-3)
    assert row.instructions.core == "cortex-a76"
    assert row.instructions.caches is not None
    assert row.instructions.caches.l1_misses == 3
    assert found.regions["a"].blocks[0].count == 1000


def test_nothing_is_timed_and_the_machine_is_emulated(plan: BenchPlan) -> None:
    device = Emulated(BEGIN, opened("a"), regions("a"), END)

    run = counted(plan, device).run

    assert run.rows[0].timings == ()
    assert run.machine.board == "emulated by QEMU"
    assert run.machine.memory_bytes == 0  # the emulating machine's says nothing
    assert run.settings.threads == (1,)
    assert device.job is not None
    assert (device.job.threads, device.job.peaks) == ((1,), ())


def test_regions_that_differ_are_invalid(plan: BenchPlan) -> None:
    found = counted(plan, Emulated(BEGIN, opened("a"), regions("a"), END, counts=(1002, 1000)))

    row = found.run.rows[0]
    assert row.state == "invalid"
    assert row.reason.startswith("two inferences differ by 0.20% of their instructions")


def test_litert_without_xnnpack_is_invalid(plan: BenchPlan) -> None:
    device = Emulated(BEGIN, opened("a", "litert-builtin"), regions("a"), END)

    row = counted(plan, device).run.rows[0]

    assert row.state == "invalid"
    assert row.reason == "LiteRT 2.3.0 ran it without XNNPACK (litert-builtin)"


def test_a_graph_that_xnnpack_takes_nothing_of_is_counted(
    plan: BenchPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_run, "delegation_of", lambda path: Delegation(0, 9, {}, 0))

    run = counted(plan, Emulated(BEGIN, opened("a", "litert-builtin"), regions("a"), END)).run

    assert run.rows[0].state == "counted"


def test_a_crash_is_named_with_its_signal(plan: BenchPlan) -> None:
    reason = "crashed with SIGSEGV: cpuinfo: no processors"
    failed = {"event": "failed", "name": "a", "state": "failed", "reason": reason}

    run = counted(plan, Emulated(BEGIN, failed, END)).run

    assert (run.rows[0].state, run.rows[0].reason) == ("failed", reason)
    assert run.rows[1].reason == "never exported"


def test_a_guest_that_ends_early_is_told(plan: BenchPlan) -> None:
    device = Emulated(BEGIN, opened("a"))
    device.status = 139

    run = counted(plan, device).run

    assert run.rows[0].state == "failed"
    assert run.problems == ("the guest ended with status 139: Segmentation fault",)


def test_operators_that_can_not_be_told_apart_are_a_problem_and_no_figure(
    plan: BenchPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_run, "alone", lambda path, signature: b"file")
    noted = [{"tag": "Add (ND)", "delegated": True, "index": 0, "elapsed_us": 5}]
    told = {"event": "operators", "name": "a", "process": 42, "tag": 2, "events": noted}
    device = Emulated(BEGIN, opened("a"), regions("a"), told, END, counts=(10, 10, 10))

    run = count_on(device, plan, Silent(), operators=True).run

    assert device.job is not None
    assert device.job.entries[0].alone == "operators-0.tflite"
    assert run.rows[0].state == "counted"
    assert run.rows[0].instructions is not None
    assert run.rows[0].instructions.operators == ()
    assert run.problems == (
        "operators of a: the profiler noted 1 operators, and the clock was read 0 times only",
    )


def test_a_guest_that_says_nothing_is_an_error(plan: BenchPlan) -> None:
    with pytest.raises(DeviceError, match="said nothing"):
        counted(plan, Emulated())
