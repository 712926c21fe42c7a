"""The main job on the shipped weights: `atpn-export --format tflite --quantize int8`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from atpn_deploy.golden import golden_folder, read_manifest
from atpn_deploy.weights import shipped
from atpn_exporters.opening import identify
from atpn_exporters.pipeline import Outcome, export
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Silent
from atpn_exporters.registry import select

pytestmark = pytest.mark.needs("torch", "litert", "litert-torch", "ai-edge-quantizer")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    plan = ExportPlan(
        shipped("atpn-lite"), select("tflite", "int8"), tmp_path_factory.mktemp("out")
    )
    return export(plan, Silent())


def test_file_is_delivered_within_every_limit(outcome: Outcome) -> None:
    assert outcome.failures == ()
    [verification] = outcome.reports[0].verifications
    assert verification.ok
    assert {row.output for row in verification.rows} == {"landmarks", "pose", "confidence"}


def test_bytes_are_those_that_the_goldens_were_recorded_with(outcome: Outcome) -> None:
    """The same bytes everywhere: weights, calibration cache and pinned tools decide them alone."""
    entries = read_manifest(golden_folder())["kernel_goldens"]
    [entry] = [e for e in entries if e["artifact"] == outcome.reports[0].path.name]
    assert outcome.reports[0].sha256 == entry["artifact_sha256"]


def test_recorded_outputs_of_these_kernels_were_met(outcome: Outcome) -> None:
    [verification] = outcome.reports[0].verifications
    assert verification.family == "litert-xnnpack"
    assert [row.output for row in verification.kernel_rows] == ["landmarks", "pose", "confidence"]


def test_whole_graph_is_one_partition_without_transpose(outcome: Outcome) -> None:
    facts = outcome.reports[0].facts
    assert facts.partitions == 1
    assert facts.undelegated == {}
    assert facts.transposes == 0
    assert "CONV_2D" not in facts.float_operators


def test_speed_against_its_float_twin_was_measured_and_is_no_loss(outcome: Outcome) -> None:
    speed = outcome.reports[0].speed
    assert speed is not None
    assert len(speed.float_s) == len(speed.quantised_s) >= 10
    assert speed.ratio > 1.2  # far below the 1.8 of a quiet machine: tests share theirs


def test_file_carries_its_calibration_and_checkpoint(outcome: Outcome) -> None:
    path: Path = outcome.reports[0].path
    artifact = identify(path)
    assert artifact.checkpoint_sha256 == shipped("atpn-lite").sha256
    assert artifact.metadata["calibration"]["count"] == 576
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
