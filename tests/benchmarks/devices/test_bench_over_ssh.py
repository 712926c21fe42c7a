"""A whole run over a real connection: the real guest, a real file, and a line that breaks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.bench_run import run_on
from atpn_benchmarks.candidates import ours
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.latency import Rules
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import Run
from atpn_exporters.parity_run import ParityRequest

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim", "sshd")


def plan(path: Path, seconds: float = 0.05) -> BenchPlan:
    candidates = tuple(ours([path], ParityRequest()))
    return BenchPlan(candidates, rounds=5, rules=Rules(10, seconds, width=9.0), peaks=False)


def bench(device: str, asked: BenchPlan, listener: Silent) -> Run:
    with named(device) as opened:
        return run_on(opened, asked, listener)


def test_a_file_is_verified_and_timed_there(sshd: Any, shipped_onnx: Path) -> None:
    run = bench(sshd.device, plan(shipped_onnx), Silent())
    [row] = run.rows
    assert (run.device, run.problems) == ("ssh:board", ())
    assert row.runtime.startswith("ONNX Runtime")
    assert row.drift
    assert all(drift.error <= drift.limit for drift in row.drift)
    assert len(row.timings[0].wall_s) >= 10
    assert run.machine.cores == os.cpu_count()


def test_a_line_that_breaks_while_timing_keeps_the_rounds_before(
    sshd: Any, shipped_onnx: Path
) -> None:
    class Cutter(Silent):
        """Breaks the connection after the second round."""

        def take(self, event: dict[str, Any]) -> None:
            if event["event"] == "round" and event["number"] == 2:
                for pid in sshd.sessions():
                    os.kill(pid, signal.SIGKILL)

    # Far more than can have been sent before the cut is heard.
    run = bench(sshd.device, plan(shipped_onnx, seconds=20.0), Cutter())

    [row] = run.rows
    assert row.state == "partial"
    assert "ssh:board" in row.reason
    assert run.problems[-1] == row.reason
    [timing] = row.timings
    rounds = len(timing.wall_s) / timing.burst
    assert 2 <= rounds < 5
