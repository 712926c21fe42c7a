"""The main job for iOS on any machine: `atpn-export --format coreml` and `atpn-parity`."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path

import pytest

from atpn_deploy.errors import ExportError
from atpn_deploy.weights import shipped
from atpn_exporters.artifact_files import sha256_of, size_bytes
from atpn_exporters.opening import identify
from atpn_exporters.parity_run import ParityRequest, check
from atpn_exporters.pipeline import Outcome, export
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Silent
from atpn_exporters.registry import select

pytestmark = [
    pytest.mark.needs("torch", "coremltools"),
    pytest.mark.skipif(platform.system() == "Darwin", reason="tells what happens off a Mac"),
]


def plan(output: Path, *, force: bool = False) -> ExportPlan:
    return ExportPlan(shipped("atpn-lite"), select("coreml", "fp16"), output, force=force)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return export(plan(tmp_path_factory.mktemp("out") / "ios"), Silent())


def test_folder_is_delivered_whole_and_nothing_else(outcome: Outcome) -> None:
    assert outcome.failures == ()
    [report] = outcome.reports
    assert sorted(path.name for path in report.path.parent.iterdir()) == [
        "atpn-lite-fp16.mlpackage",
        "atpn-lite-fp16.mlpackage.json",
    ]
    assert report.size_bytes == size_bytes(report.path)
    assert report.sha256 == sha256_of(report.path) == identify(report.path).sha256
    assert report.metadata["checkpoint_sha256"] == shipped("atpn-lite").sha256
    assert set(report.metadata["tools"]) == {"torch", "coremltools", "scikit-learn"}


def test_report_says_what_ran_and_gives_no_latency(outcome: Outcome) -> None:
    values = json.loads(outcome.reports[0].json_path.read_text())

    assert values["speed"] is None
    assert "no latency" in values["speed_verdict"]
    [parity] = values["parity"]
    assert parity["ok"]
    assert "does not see how the Neural Engine computes" in parity["runtime"]
    assert parity["kernel_family"] == "mil-evaluator-fp16"


def test_existing_folder_is_kept_unless_forced(outcome: Outcome) -> None:
    path = outcome.reports[0].path
    before = sha256_of(path)
    with pytest.raises(ExportError, match="exists and is kept; overwrite with --force"):
        export(plan(path.parent), Silent())
    assert sha256_of(path) == before


def test_parity_of_the_folder_is_checked_again_in_ci(outcome: Outcome, tmp_path: Path) -> None:
    path = outcome.reports[0].path
    result = check(path, ParityRequest())
    assert (result.exit_status, result.error) == (0, "")

    damaged = tmp_path / path.name
    shutil.copytree(path, damaged)
    weights = damaged / "Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[:-5000])

    result = check(damaged, ParityRequest())
    assert result.exit_status == 2
    assert "weight.bin" in result.error
    assert "\n" not in result.error
