from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from atpn_deploy.parity import Row
from atpn_exporters.registry import TARGETS
from atpn_exporters.report import ExportReport
from atpn_exporters.tables import counted, report_table, target_table
from atpn_exporters.target import GraphFacts
from atpn_exporters.verification import Verification

ROW = Row("landmarks", "mean", "px", "faces", 0.31, 0.5, "errors of half a step add up", 3)
FACTS = GraphFacts({"CONV_2D": 9, "TANH": 1}, {"TANH": 1}, 0, 2, {"TANH": 1}, "weights int8")
REPORT = ExportReport(
    Path("exported/atpn-lite-int8.tflite"),
    "tflite-int8",
    "atpn-lite",
    "full",
    1_234_567,
    "ab" * 32,
    FACTS,
    (Verification("LiteRT 2.3.0", "litert-xnnpack", (ROW,), (), True),),
    None,
    "int8 is 1.90x faster than float here",
    ("the calibration set of 9 crops is too small",),
    {
        "calibration": {
            "count": 9,
            "source": "mine",
            "observer": "min/max",
            "crops_sha256": "c" * 64,
        }
    },
    31.0,
    800 * 2**20,
)


def shown(table: RenderableType, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.parametrize(
    "fact",
    [
        "weights int8",
        "1,234,567 bytes",
        "TANH",
        "2 partitions, outside: TANH",
        "int8 is 1.90x faster than float here",
        "too small",
        "9 crops (mine)",
        "0.31",
        "half a step",
        "litert-xnnpack",
    ],
)
def test_report_shows(fact: str) -> None:
    assert fact in shown(report_table(REPORT))


def test_row_beyond_its_limit_is_called_a_failure() -> None:
    bad = replace(REPORT.verifications[0], rows=(replace(ROW, error=float("nan")),))
    assert "FAIL" not in shown(report_table(REPORT))
    assert "FAIL" in shown(report_table(replace(REPORT, verifications=(bad,))))


def test_list_says_what_is_missing_and_how_to_install_it() -> None:
    absent = replace(TARGETS["onnx-fp32"], export_needs=("no_such_tool",))
    text = " ".join(shown(target_table([absent])).split())
    assert "needs no_such_tool" in text
    assert "[onnx]" in text


def test_operators_are_counted_in_words() -> None:
    assert counted({"TANH": 1, "MUL": 3}) == "MUL x3, TANH"
