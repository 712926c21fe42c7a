"""The whole export on a user's own checkpoint; ONNX, because it converts in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_deploy.config import ATPN_LITE_CONFIG
from atpn_deploy.errors import (
    CalibrationError,
    ConfigError,
    ExportError,
    MissingToolError,
    ParityError,
    UnsupportedError,
)
from atpn_deploy.model import ATPN
from atpn_deploy.weights import Checkpoint, open_checkpoint, save_state
from atpn_exporters import converters
from atpn_exporters.pipeline import Outcome, export
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Silent
from atpn_exporters.registry import TARGETS, select

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")


@pytest.fixture(scope="module")
def checkpoint(own_weights: Path) -> Checkpoint:
    return open_checkpoint(own_weights)


@pytest.fixture(scope="module")
def delivered(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    output = tmp_path_factory.mktemp("out") / "new" / "folder"
    return export(ExportPlan(checkpoint, select("onnx", "fp32"), output), Silent())


def plan(checkpoint: Checkpoint, output: Path, target: str = "onnx-fp32") -> ExportPlan:
    return ExportPlan(checkpoint, (TARGETS[target],), output)


def test_file_and_report_are_delivered_and_nothing_else(delivered: Outcome) -> None:
    [report] = delivered.reports
    assert delivered.failures == ()
    names = sorted(path.name for path in report.path.parent.iterdir())
    assert names == ["atpn-lite-fp32.onnx", "atpn-lite-fp32.onnx.json"]


def test_report_holds_parity_in_the_units_of_the_task(delivered: Outcome) -> None:
    values = json.loads(delivered.reports[0].json_path.read_text())
    rows = {row["output"]: row for row in values["parity"][0]["rows"]}
    assert rows["landmarks"]["unit"] == "px"
    assert rows["pose"]["unit"] == "degree"
    assert 0 < rows["landmarks"]["error"] <= 1e-4
    assert values["sha256"] == delivered.reports[0].sha256


def test_report_says_what_the_linter_found(delivered: Outcome) -> None:
    values = json.loads(delivered.reports[0].json_path.read_text())
    assert [finding["rule"] for finding in values["lint"]] == [
        finding.rule for finding in delivered.reports[0].findings
    ]
    assert all(finding["spots"] for finding in values["lint"])
    # A float file cannot suffer from what only integers do.
    assert not {"Q002", "Q003", "Q009", "Q010"} & {f.rule for f in delivered.reports[0].findings}


def test_file_says_which_checkpoint_and_contract_it_follows(
    delivered: Outcome, checkpoint: Checkpoint
) -> None:
    metadata = delivered.reports[0].metadata
    assert metadata["checkpoint_sha256"] == checkpoint.sha256
    assert metadata["target"] == "onnx-fp32"
    assert metadata["contract"]["outputs"][0]["name"] == "landmarks"


def test_existing_file_is_kept_unless_forced(delivered: Outcome, checkpoint: Checkpoint) -> None:
    path = delivered.reports[0].path
    before = path.read_bytes()
    with pytest.raises(ExportError, match="exists and is kept; overwrite with --force"):
        export(plan(checkpoint, path.parent), Silent())
    assert path.read_bytes() == before


def test_file_that_fails_parity_is_not_delivered_under_its_name(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    target = TARGETS["onnx-fp32"]
    impossible = tuple(replace(limit, value=0.0) for limit in target.limits)
    strict = ExportPlan(checkpoint, (replace(target, limits=impossible),), tmp_path / "out")
    outcome = export(strict, Silent())
    assert outcome.reports == ()
    assert isinstance(outcome.failures[0].error, ParityError)
    assert "is off by" in str(outcome.failures[0].error)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["atpn-lite-fp32.failed.onnx", "atpn-lite-fp32.failed.onnx.json"]


def test_output_that_cannot_be_written_is_one_clear_error(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(ExportError, match="cannot write to"):
        export(plan(checkpoint, blocker / "out"), Silent())
    assert blocker.read_text() == "not a folder"


def test_converter_that_crashes_is_named_with_its_signal(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, sys; print('converter was here', file=sys.stderr); os.kill(os.getpid(), 11)"
    monkeypatch.setattr(converters, "WORKER", ("-c", crash))
    golden = tmp_path / "out"
    with pytest.raises(ExportError, match=r"crashed with SIGSEGV.*"):
        export(plan(checkpoint, golden), Silent())
    assert not golden.exists()


def test_calibrated_target_without_cache_asks_for_crops(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(CalibrationError, match="--calibration DIR"):
        export(plan(checkpoint, tmp_path / "out", "onnx-int8"), Silent())
    assert not (tmp_path / "out").exists()


def test_calibration_that_no_target_uses_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    request = replace(plan(checkpoint, tmp_path / "out"), calibration_folder=tmp_path)
    with pytest.raises(ConfigError, match="onnx-fp32 uses no calibration"):
        export(request, Silent())


def test_tool_that_is_not_installed_gives_the_pip_line(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    absent = replace(TARGETS["onnx-fp32"], export_needs=("no_such_converter",))
    with pytest.raises(MissingToolError, match=r"needs no_such_converter: pip install .*\[onnx\]"):
        export(ExportPlan(checkpoint, (absent,), tmp_path), Silent())


def test_network_with_68_landmarks_does_not_fit_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "68.safetensors"
    save_state(ATPN(replace(ATPN_LITE_CONFIG, landmark_count=68)), path)
    with pytest.raises(UnsupportedError, match="68 landmarks"):
        export(plan(open_checkpoint(path), tmp_path / "out"), Silent())


@pytest.mark.parametrize(
    ("format_", "quantize", "said"),
    [
        ("onnx", "int4", "onnx has no quantisation 'int4'; choose fp32"),
        ("caffe", "fp32", "no format is called 'caffe'; choose coreml, executorch, ncnn, onnx"),
        ("onnx", "int16x8", "onnx has no quantisation"),
    ],
)
def test_unknown_pair_lists_the_choices(format_: str, quantize: str, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        select(format_, quantize)


def test_all_selects_every_target_in_report_order() -> None:
    assert [target.name for target in select("all", "all")] == list(TARGETS)
