"""The Markdown of docs/bisect.md: worst layers of a report, places of planted faults."""

from __future__ import annotations

from typing import Any

from atpn_benchmarks import bisect_rows
from atpn_benchmarks.planted.__main__ import markdown, summary
from atpn_benchmarks.planted.fault import Found


def layer(name: str, px: float | None) -> dict[str, Any]:
    return {
        "layer": name,
        "computing": ["PAD", "CONV_2D"],
        "damage": {"landmarks_px": px, "pose_degrees": None},
        "isolated": {"relative": 0.123, "finite": True},
        "cumulative": None,
    }


def test_rows_are_the_first_layers_and_what_is_missing_is_a_dash() -> None:
    report = {
        "file": "f.tflite",
        "runtime": "LiteRT",
        "whole_file": {"landmarks_px": 0.5, "pose_degrees": None},
        "layers": [layer("a.b", 0.4), layer("c", None), layer("d", 0.1)],
    }
    lines = bisect_rows.markdown(report, 2).splitlines()
    assert lines[0] == "`f.tflite`: 0.5 px as a whole, LiteRT"
    assert lines[4] == "| `a.b` | PAD, CONV_2D | 0.4 px | - | 12 % | - |"
    assert lines[5].startswith("| `c` | PAD, CONV_2D | - |")
    assert len(lines) == 6


def found(fault: str, format_: str, rank: int, module: str = "m", px: float = 1.0) -> Found:
    return Found(fault, format_, "int8", module, rank, "other", px, alone_suspect=rank == 1)


def test_planted_table_says_what_came_first_instead_and_counts() -> None:
    table = markdown(
        {
            "onnx": (found("flip", "onnx", 1), found("scale", "onnx", 2)),
            "tflite": (found("flip", "tflite", 0, "n", float("nan")),),
        }
    ).splitlines()
    assert table[2] == (
        "| flip | `m` | first, int8, 1 px "
        "| not found, int8, NaN or infinite, `n`, first was `other` |"
    )
    assert table[3] == "| scale | `m` | second, int8, 1 px, first was `other` | - |"
    assert table[4] == "| named first | | **1 of 2** | **0 of 1** |"


def test_summary_names_those_that_were_not_first() -> None:
    text = summary((found("x", "onnx", 1), found("x", "onnx", 12, "far.behind", 0.02)))
    assert "int8: 1 of 2 first, 1 the only layer beyond rounding" in text
    assert "far.behind (12th, 0.02 px)" in text
