"""A comparison as tables says each row's verdict in words, in every form."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from atpn_benchmarks.comparison import Comparison, compare
from atpn_benchmarks.comparison_tables import (
    comparison_dict,
    comparison_markdown,
    comparison_table,
)
from atpn_benchmarks.results import Drift, Run
from atpn_benchmarks.slowness_gate import gate

INT8 = "atpn-lite-int8.tflite"


@pytest.fixture(scope="module")
def comparison(run: Run, maker) -> Comparison:
    """One file slower, one off its reference, one gone."""
    new = maker.run(2, slower={INT8: 1.08}, machine_moves=1.1, hashes="c")
    drift = (Drift("landmarks", "mean", "faces", float("nan"), 0.5, "px"),)
    new = maker.changed(new, INT8, drift=drift, size_bytes=1_234_567)
    new = maker.changed(
        new, "atpn-fp32.onnx", state="not timed", reason="off | by 2 px", timings=()
    )
    new = replace(new, rows=tuple(r for r in new.rows if r.name != "peer4.tflite"))
    return compare(run, new, sources=("a.json", "b.json"))


def shown(comparison: Comparison, width: int = 160) -> str:
    out = Console(file=io.StringIO(), width=width)
    out.print(comparison_table(comparison, gate(comparison, 0.05)))
    return out.file.getvalue()


def test_the_terminal_says_everything(comparison: Comparison) -> None:
    text = shown(comparison)

    assert "b.json of 2026-11-22 04:30 against a.json of 2026-11-21 04:30, on AMD EPYC" in text
    assert "1 thread, relative to 4 unchanged files, which moved by +" in text
    assert "within noise: no change that can be told apart from noise" in text
    assert "one in twenty is called faster or slower by chance" in text
    assert "not compared: atpn-fp32.onnx on 1 thread: not timed in the second run: off" in text
    assert "slower by more than 5.0%: atpn-lite-int8.tflite on 1 thread, 1.0" in text
    assert "can't be told: atpn-fp32.onnx on 1 thread" in text
    assert "1 of 3 rows not slower by 5.0%" in text
    (row,) = [line for line in text.splitlines() if f"{INT8} *" in line]
    assert row.split()[-1] == "slower"
    (size,) = [line for line in text.splitlines() if " size " in line]
    assert size.split() == [INT8, "size", "1,000,000", "1,234,567", "bytes"]


def test_figures_are_whole_on_a_narrow_terminal(comparison: Comparison) -> None:
    change = next(change for change in comparison.changes if change.name == INT8)
    assert change.ratio is not None

    text = shown(comparison, 80)

    assert f"({change.ratio.low:.3f} to {change.ratio.high:.3f})" in text
    assert max(map(len, text.splitlines())) <= 80


def test_markdown_has_the_same_rows(comparison: Comparison) -> None:
    text = comparison_markdown(comparison, gate(comparison, 0.05))

    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.count("|") - line.count("\\|") == 6 for line in rows)
    assert any(line.startswith(f"| {INT8} * |") and line.endswith("| slower |") for line in rows)
    assert f"| {INT8} | drift of landmarks, mean over faces | 0.14 | nan | px |" in rows
    assert "not timed: off \\| by 2 px" in text
    assert "- slower by more than 5.0%: " in text


def test_json_has_figures_and_verdicts(comparison: Comparison) -> None:
    found = json.loads(
        json.dumps(comparison_dict(comparison, gate(comparison, 0.05)), allow_nan=False)
    )

    change = next(change for change in found["changes"] if change["name"] == INT8)
    assert change["verdict"] == "slower"
    assert change["ratio"]["low"] < change["ratio"]["value"] < change["ratio"]["high"]
    assert found["gate"]["exit_status"] == 1
    assert found["comparison_version"] == 1
    (drift,) = [fact for fact in found["facts"] if fact["what"].startswith("drift")]
    assert (drift["old"], drift["new"]) == (0.14, None)


def test_a_row_that_is_the_reference_says_so(run: Run, maker) -> None:
    comparison = compare(run, maker.run(2), relative_to=INT8)

    assert "the reference" in shown(comparison)
    assert "relative to atpn-lite-int8.tflite, which moved by" in shown(comparison)


def test_without_a_gate_there_is_no_verdict_of_one(comparison: Comparison) -> None:
    assert "gate" not in comparison_dict(comparison)
    assert "can't be told" not in comparison_markdown(comparison)


def test_nothing_in_common_is_said(maker) -> None:
    comparison = compare(maker.run(1, ours={}, peers={}), maker.run(2, ours={}, peers={}))

    assert "no file was timed validly in both runs" in comparison_markdown(comparison)
