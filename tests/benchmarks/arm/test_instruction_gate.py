"""The gate on instructions: what grew is found and named, and nothing passes unseen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.arm.baseline import (
    Baseline,
    Taken,
    labelled,
    operators_in,
    read_baseline,
    taken,
    write_baseline,
)
from atpn_benchmarks.arm.counts import InstructionCounts
from atpn_benchmarks.arm.gate import GREW, PASSED, UNSURE, judge
from atpn_benchmarks.counting.operators import CountedOperator
from atpn_benchmarks.results import Row
from atpn_deploy.errors import ResultsError

OPERATORS = {"CONV_2D in stem, 1,000 multiply-adds": 2, "TANH": 1}
BEFORE = Taken("aa", "LiteRT 2.3.0", "litert-xnnpack", 1_000_000, {"load": 400}, OPERATORS)


def row(name: str, state: str = "counted", reason: str = "", peer: bool = False) -> Row:
    counts = InstructionCounts("cortex-a76", 1_000_000, {"load": 400}, 0.0)
    return Row(
        name,
        name,
        "tflite-int8",
        "atpn-lite",
        "full",
        peer,
        state,  # type: ignore[arg-type]
        reason,
        sha256="aa",
        runtime="LiteRT 2.3.0",
        kernel_family="litert-xnnpack",
        instructions=counts if state == "counted" else None,
    )


def test_what_is_within_the_limit_passes() -> None:
    gate = judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": BEFORE}, 0.01)
    edge = replace(BEFORE, instructions=1_010_000)

    assert gate.exit_status == PASSED
    assert gate.lines == ()
    assert judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": edge}, 0.01).exit_status == PASSED


def test_an_added_operator_is_named() -> None:
    more = {**OPERATORS, "CONV_2D in head, 5 multiply-adds": 1}
    after = replace(BEFORE, sha256="bb", instructions=1_100_000, operators=more)

    gate = judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": after}, 0.01)

    assert gate.exit_status == GREW
    (line,) = gate.lines
    assert "a: +10.00 % instructions, 1,000,000 before and 1,100,000 now" in line
    assert "the file is another one" in line
    assert "its graph has more of: 1 x CONV_2D in head, 5 multiply-adds" in line
    assert "fewer" not in line


def test_an_operator_that_became_dearer_is_named_by_both_forms() -> None:
    other = {"CONV_2D in stem, 1,000 multiply-adds": 1, "CONV_2D in stem, 9,000 multiply-adds": 1}
    after = replace(BEFORE, instructions=2_000_000, operators=other)

    (line,) = judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": after}, 0.01).lines

    assert "more of: 1 x CONV_2D in stem, 9,000 multiply-adds" in line
    assert "fewer of: 1 x CONV_2D in stem, 1,000 multiply-adds, 1 x TANH" in line


def test_another_runtime_and_its_kernels_are_named() -> None:
    after = replace(
        BEFORE,
        instructions=1_500_000,
        runtime="LiteRT 2.4.0",
        kernel_family="litert-builtin",
        by_class={"load": 100, "scalar": 9000},
    )

    (line,) = judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": after}, 0.01).lines

    assert "LiteRT 2.3.0 ran it before, LiteRT 2.4.0 now" in line
    assert "kernels litert-xnnpack, now litert-builtin" in line
    assert "most more of the class 'scalar': +9,000" in line
    assert "another one" not in line


def test_the_worst_comes_first() -> None:
    before = {"a": BEFORE, "b": BEFORE}
    now = {
        "a": replace(BEFORE, instructions=1_100_000),
        "b": replace(BEFORE, instructions=1_200_000),
    }

    gate = judge("cortex-a76", before, [row("a"), row("b")], now, 0.01)

    assert [change.name for change in gate.grew] == ["b", "a"]


def test_a_file_that_failed_or_was_not_run_is_no_pass() -> None:
    rows = [row("a"), row("b", "failed", "signal 11")]
    before = {"a": BEFORE, "b": BEFORE, "c": BEFORE}

    gate = judge("cortex-a76", before, rows, {"a": BEFORE}, 0.01)

    assert gate.exit_status == UNSURE
    assert gate.unsure == ("b: failed: signal 11", "c: it was not run")


def test_a_run_of_some_files_is_judged_by_these() -> None:
    before = {"a": BEFORE, "c": BEFORE}

    gate = judge("cortex-a76", before, [row("a")], {"a": BEFORE}, 0.01, complete=False)

    assert gate.exit_status == PASSED


def test_a_new_file_is_told_of() -> None:
    gate = judge("cortex-a76", {"a": BEFORE}, [row("a"), row("n")], {"a": BEFORE, "n": BEFORE}, 0.1)

    assert gate.exit_status == PASSED
    assert "not in the baseline: n" in gate.lines[0]


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(ResultsError, match="nothing to judge"):
        judge("cortex-a76", {"z": BEFORE}, [row("n")], {"n": BEFORE}, 0.1, complete=False)


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ResultsError, match="limit above 0"):
        judge("cortex-a76", {"a": BEFORE}, [row("a")], {"a": BEFORE}, limit)


def test_peers_are_neither_kept_nor_judged() -> None:
    rows = [row("a"), row("p", peer=True), row("f", "failed", "why")]

    assert list(taken(rows, {})) == ["a"]


def test_a_baseline_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    baseline = Baseline({}, "QEMU 7.2").with_rows("cortex-a76", {"b": BEFORE, "a": BEFORE})
    write_baseline(baseline, path)

    assert read_baseline(path) == baseline
    assert list(read_baseline(path).of("cortex-a76")) == ["a", "b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_renewed_file_leaves_the_others_as_they_were() -> None:
    first = Baseline({}, "").with_rows("cortex-a76", {"a": BEFORE, "b": BEFORE})
    newer = replace(BEFORE, instructions=7)

    second = first.with_rows("cortex-a76", {"b": newer}).with_rows("cortex-a53", {"a": newer})

    assert second.of("cortex-a76") == {"a": BEFORE, "b": newer}
    assert second.of("cortex-a53") == {"a": newer}


@pytest.mark.parametrize("text", ["", "[]", '{"cores": {"x": {"a": 1}}, "emulator": ""}'])
def test_a_damaged_baseline_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"b\.json is no baseline"):
        read_baseline(path)


def test_a_missing_baseline_or_core_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="--write-instructions"):
        read_baseline(tmp_path / "absent.json")
    with pytest.raises(ResultsError, match="no cortex-a53, only cortex-a76"):
        Baseline({"cortex-a76": {}}, "").of("cortex-a53")


def test_operators_that_nobody_could_tell_apart_share_a_label() -> None:
    conv = CountedOperator("x", 0, "CONV_2D", "stem", "int8", 1000, (), ())
    tanh = CountedOperator("y", 1, "TANH", "", "", None, (), ())

    assert labelled([conv, replace(conv, name="z", position=2), tanh]) == OPERATORS


def test_a_format_that_is_not_read_has_no_operators(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"nothing")

    assert operators_in(path, None) == {}


@pytest.mark.needs("onnx")
def test_a_planted_layer_is_found_in_the_file(tmp_path: Path) -> None:
    before, after = (operators_in(_network(tmp_path, count), None) for count in (2, 3))

    added = {label: n - before.get(label, 0) for label, n in after.items()}
    assert before == {"Conv, 9,216 multiply-adds": 2}
    assert added == {"Conv, 9,216 multiply-adds": 1}


def _network(folder: Path, layers: int) -> Path:
    """An ONNX file of convolutions of 8 channels on 4 x 4."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, 8, 4, 4]
    names = ["in", *(f"t{n}" for n in range(layers))]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [names[n], f"w{n}"], [names[n + 1]], pads=[1, 1, 1, 1])
            for n in range(layers)
        ],
        "network",
        [values[0]],
        [values[-1]],
        [
            numpy_helper.from_array(np.zeros((8, 8, 3, 3), np.float32), f"w{n}")
            for n in range(layers)
        ],
        value_info=values[1:-1],
    )
    path = folder / f"{layers}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path
