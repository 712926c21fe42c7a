from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from atpn_deploy.parity import Row
from atpn_exporters.lint.finding import Finding, Spot
from atpn_exporters.registry import TARGETS
from atpn_exporters.report import ExportReport
from atpn_exporters.tables import counted, lint_table, report_table, target_table
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
    (
        Finding(
            "Q010",
            "unequal addends",
            "A sum takes the wider range.",
            "Normalise both sides.",
            tuple(Spot(f"block.{n}", 9.0 - n, "ratio", f"ranges {n} and 9") for n in range(7)),
        ),
    ),
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
        "Q010 unequal addends: block.0: ranges 0 and 9 and 6 more",
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


def test_lint_table_shows_the_worst_places_and_the_fix() -> None:
    text = shown(lint_table({"tflite-int8": REPORT.findings, "onnx-int8": ()}))
    assert "A sum takes the wider range." in text
    assert "block.4: ranges 4 and 9" in text
    assert "block.5" not in text
    assert "and 2 more" in text
    assert "Normalise both sides." in text
    assert text.index("onnx-int8") < text.index("nothing found")
