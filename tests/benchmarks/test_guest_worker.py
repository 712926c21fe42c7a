"""The process that holds one file: what it times, and how its end is told."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atpn_benchmarks.guest import process as guest_process
from atpn_benchmarks.guest import worker
from atpn_benchmarks.guest.process import WorkerError, WorkerProcess


class Clock:
    """Gives the numbers of a list, one a call."""

    def __init__(self, *readings: int) -> None:
        self._left: Iterator[int] = iter(readings)

    def __call__(self) -> int:
        return next(self._left)


def test_every_call_is_one_sample_of_both_clocks() -> None:
    calls: list[int] = []
    walls, cpus = worker.timed(
        lambda: calls.append(1),
        2,
        wall=Clock(100, 130, 200, 270),
        cpu=Clock(10, 35, 40, 90),
    )
    assert (walls, cpus, len(calls)) == ([30, 70], [25, 50], 2)


def test_taking_a_sample_costs_less_than_a_microsecond() -> None:
    assert worker.timer_overhead_s() < 1e-6


def answers(*commands: dict[str, Any]) -> list[dict[str, Any]]:
    told = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(each) + "\n" for each in commands)), told)
    return [json.loads(line) for line in told.getvalue().splitlines()]


def test_memory_tells_the_peak_and_today() -> None:
    [found] = answers({"do": "memory"})
    assert found["peak_bytes"] >= found["resident_bytes"] > 2**20


def test_a_file_that_is_not_there_is_an_answer_and_the_worker_lives_on(tmp_path: Path) -> None:
    entry = {"name": "a", "path": str(tmp_path / "a.onnx"), "target": "onnx-fp32"}
    refused, alive = answers(
        {"do": "open", "entry": entry, "threads": 1, "runtime": "auto"}, {"do": "memory"}
    )
    assert "a.onnx does not exist" in refused["error"]
    assert "peak_bytes" in alive


def test_modules_that_cannot_be_imported_are_left_to_the_runtime() -> None:
    [found] = answers({"do": "preload", "modules": ["json", "no_module_of_this_name"]})
    assert found["idle_bytes"] > 0


def test_the_first_call_that_is_marked_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[int] = []
    monkeypatch.setattr(worker, "mark", lambda call, tags: marked.extend(tags))
    guest = worker.Worker()
    guest._session = SimpleNamespace(repeat=lambda: None)

    assert guest.regions(2)["tags"] == [1, 2]
    assert marked == [0, 1, 2]


def process(tmp_path: Path, body: str, patience_s: float = 20.0) -> WorkerProcess:
    script = tmp_path / "guest.py"
    script.write_text(body)
    return WorkerProcess((sys.executable, str(script)), (0,), 2, patience_s)


def test_commands_go_in_and_answers_come_out(tmp_path: Path) -> None:
    body = (
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    told = dict(json.loads(line), argv=sys.argv[1:], omp=os.environ['OMP_NUM_THREADS'])\n"
        "    print(json.dumps(told), flush=True)\n"
    )
    with process(tmp_path, body) as running:
        told = running.ask("burst", count=3)
    assert told == {"do": "burst", "count": 3, "argv": ["worker", "0"], "omp": "2"}


def test_a_crash_is_told_by_its_signal_and_its_last_words(tmp_path: Path) -> None:
    body = (
        "import os, signal, sys\n"
        "sys.stdin.readline()\n"
        "print('bad kernel', file=sys.stderr, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    with (
        process(tmp_path, body) as running,
        pytest.raises(WorkerError, match="crashed with SIGSEGV: bad kernel"),
    ):
        running.ask("open")


def test_an_exit_is_told_by_its_status(tmp_path: Path) -> None:
    with (
        process(tmp_path, "import sys; sys.stdin.readline(); sys.exit('no NumPy')") as running,
        pytest.raises(WorkerError, match="ended with status 1: no NumPy"),
    ):
        running.ask("open")


def test_a_worker_that_hangs_is_killed(tmp_path: Path) -> None:
    body = "import time; time.sleep(600)"
    with (
        process(tmp_path, body, patience_s=0.3) as running,
        pytest.raises(WorkerError, match="hung: no answer to 'open'"),
    ):
        running.ask("open")


def test_a_worker_that_does_not_end_by_itself_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_process, "GRACE_S", 0.1)
    began = time.monotonic()
    process(tmp_path, "import time; time.sleep(600)").close()
    assert time.monotonic() - began < 5


def test_a_refusal_comes_as_its_own_words(tmp_path: Path) -> None:
    body = 'import sys; sys.stdin.readline(); print(\'{"error": "no such file"}\', flush=True)'
    with (
        process(tmp_path, body) as running,
        pytest.raises(WorkerError, match=r"^no such file$"),
    ):
        running.ask("open")
