"""The conductor with workers that are scripts: order, failures, and what is told of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks.guest import facts
from atpn_benchmarks.guest.conductor import Conductor
from atpn_benchmarks.guest.job import Entry, Job

#: Behaves as the names of its files say.
SCRIPT = """
import json, os, signal, sys
entry, bursts = {}, 0
for line in sys.stdin:
    asked = json.loads(line)
    do, answer = asked.pop("do"), {}
    if do == "preload":
        answer = {"idle_bytes": 1000 * len(asked["modules"])}
    elif do == "open":
        entry = asked["entry"]
        if "refused" in entry["name"]:
            answer = {"error": "no such kernel"}
        elif "crash" in entry["name"]:
            os.kill(os.getpid(), signal.SIGILL)
        else:
            answer = {"load_s": 0.1, "first_s": 0.01, "runtime": "R 1", "kernel_family": "r",
                      "modules": ["json", "csv"]}
    elif do == "verify":
        off = "off" in entry["name"]
        answer = {"complaint": "pose is off" if off else "", "rows": []}
    elif do == "warm":
        answer = {"median_s": 0.01}
    elif do == "burst":
        bursts += 1
        if "late" in entry["name"] and bursts == 3:
            sys.exit("out of luck")
        each = 4_000_000 if "quick" in entry["name"] else 10_000_000
        answer = {"wall_ns": [each] * asked["count"], "cpu_ns": [each] * asked["count"]}
    elif do == "memory":
        answer = {"peak_bytes": 2**20, "resident_bytes": 2**19}
    elif do == "peaks":
        answer = {"fp32_macs_per_s": 1e9}
    print(json.dumps(answer), flush=True)
"""


def events(tmp_path: Path, *names: str, **options: Any) -> list[dict[str, Any]]:
    script = tmp_path / "guest.py"
    script.write_text(SCRIPT)
    entries = tuple(
        Entry(name, f"files/{number}.tflite", "tflite-int8", expected="expected.npz")
        for number, name in enumerate(names)
    )
    job = Job(entries, **{"samples": 10, "seconds": 0.4, "rounds": 10, "cores": (0,), **options})
    told: list[dict[str, Any]] = []
    Conductor(job, (sys.executable, str(script)), told.append).perform()
    return told


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in told if event["event"] == kind]


def test_every_file_is_in_every_round_in_an_order_that_changes(tmp_path: Path) -> None:
    told = events(tmp_path, "a", "b", "c")
    bursts = of(told, "burst")
    orders = [tuple(event["name"] for event in bursts[at : at + 3]) for at in range(0, 30, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(set(orders)) > 1
    assert [event["number"] for event in of(told, "round")] == list(range(1, 11))


def test_a_burst_is_as_long_as_samples_and_seconds_ask(tmp_path: Path) -> None:
    [first, *_] = of(events(tmp_path, "a"), "burst")
    assert first["per_round"] == len(first["wall_ns"]) == 5  # 0.4 s x 1.25 / 0.01 s / 10 rounds
    [first, *_] = of(events(tmp_path, "a", samples=80), "burst")
    assert first["per_round"] == 10


def test_calls_that_are_quicker_than_warming_up_get_more_rounds(tmp_path: Path) -> None:
    told = events(tmp_path, "quick", "b")
    seconds = sum(sum(e["wall_ns"]) for e in of(told, "burst") if e["name"] == "quick") * 1e-9
    assert 10 < len(of(told, "round")) <= 20
    assert seconds == pytest.approx(0.4)


def test_a_file_that_is_off_is_told_and_never_timed(tmp_path: Path) -> None:
    told = events(tmp_path, "off", "b")
    assert {event["name"] for event in of(told, "burst")} == {"b"}
    assert [event["complaint"] for event in of(told, "drift")] == ["pose is off", ""]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refused", "no such kernel"),
        ("crash", "crashed with SIGILL"),
        ("late", "while it was timed: ended with status 1: out of luck"),
    ],
)
def test_one_that_fails_is_told_with_the_reason_and_the_others_go_on(
    tmp_path: Path, name: str, reason: str
) -> None:
    told = events(tmp_path, name, "b")
    [failed] = of(told, "failed")
    assert (failed["name"], failed["state"], failed["reason"]) == (name, "failed", reason)
    assert sum(event["name"] == "b" for event in of(told, "burst")) == 10
    assert [event["name"] for event in of(told, "memory")] == ["b"]


def test_loading_is_timed_after_the_runtime_was_imported(tmp_path: Path) -> None:
    """What the first file of a format imports is imported in advance for all of that format."""
    told = of(events(tmp_path, "a", "b"), "open")
    assert [event["idle_bytes"] for event in told] == [2000, 2000]
    assert "modules" not in told[0]


def test_each_number_of_threads_is_a_timing_and_parity_is_held_once(tmp_path: Path) -> None:
    told = events(tmp_path, "a", threads=(1, 2), cores=(0, 1))
    assert {event["threads"] for event in of(told, "burst")} == {1, 2}
    assert len(of(told, "drift")) == 1


def test_without_memory_a_file_is_not_run_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "free_memory", lambda: 2**20)
    [failed] = of(events(tmp_path, "a"), "failed")
    assert failed["state"] == "not run"
    assert "memory is full" in failed["reason"]


def test_the_first_line_tells_the_machine_and_the_last_its_state(tmp_path: Path) -> None:
    told = events(tmp_path, "a", peaks=("one.tflite",))
    assert told[0]["event"] == "begin"
    assert {"machine", "cores", "conditions", "timer_overhead_s"} <= set(told[0])
    assert of(told, "peaks")[0]["fp32_macs_per_s"] == 1e9
    assert told[-1]["event"] == "end"
    assert 0 <= told[-1]["competing_load"] <= 1
