from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from atpn_deploy.parity import Row
from atpn_exporters.junit import write_junit
from atpn_exporters.parity_run import ParityResult
from atpn_exporters.verification import Verification


def row(error: float) -> Row:
    return Row("landmarks", "max", "px", "all", error, 0.5, "half a pixel", 0)


def result(*rows: Row, not_run: str = "", error: str = "") -> ParityResult:
    ran = Verification("LiteRT 2", "xnnpack", rows, (), True, not_run)
    return ParityResult(Path("a.tflite"), () if error else (ran,), error)


def test_failure_names_error_unit_and_limit() -> None:
    root = ET.fromstring(write_junit([result(row(0.1), row(0.7))]))
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    failure = suite.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "0.7 px, the limit is 0.5"


def test_nan_is_a_failure() -> None:
    assert ET.fromstring(write_junit([result(row(float("nan")))])).find(".//failure") is not None


def test_file_that_could_not_be_compared_is_an_error() -> None:
    suite = ET.fromstring(write_junit([result(error="a.tflite is truncated")]))[0]
    assert suite.get("errors") == "1"


def test_interpreter_that_cannot_run_it_is_skipped_and_alone_is_no_success() -> None:
    unrun = result(not_run="tflite-runtime has no int8 SQRT")
    assert ET.fromstring(write_junit([unrun]))[0].get("skipped") == "1"
    assert unrun.exit_status == 1
