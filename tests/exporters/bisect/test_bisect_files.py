"""A real .onnx file of both tasks, and everything that keeps a file from being bisected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from atpn_deploy.cli.export import app
from atpn_deploy.errors import ArtifactError, UnsupportedError, WeightsError
from atpn_exporters.bisect import run as bisect_run
from atpn_exporters.bisect.run import bisect
from atpn_exporters.onnx_backend import ONNX_FP32
from atpn_exporters.target import ExportJob

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")


@dataclass(frozen=True)
class Made:
    """A checkpoint and the file that was made from it."""

    weights: Path
    file: Path


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, reference: Callable[[str | ATPNConfig], ATPN]
) -> Made:
    from atpn_deploy.weights import open_checkpoint, save_state

    folder = tmp_path_factory.mktemp("bisect")
    model, weights, file = reference("atpn"), folder / "mine.safetensors", folder / "mine.onnx"
    save_state(model, weights)
    facts = {"checkpoint_sha256": open_checkpoint(weights).sha256, "signature": "full"}
    ONNX_FP32.export(ExportJob(model, "full", facts, folder), file)
    return Made(weights, file)


@pytest.fixture(autouse=True)
def one_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bisect_run, "CROPS", 1)


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["--bisect", *(str(argument) for argument in arguments)])


def test_every_operator_of_both_tasks_belongs_to_a_layer_and_none_is_wrong(
    made: Made, reference: Callable[[str | ATPNConfig], ATPN]
) -> None:
    from atpn_exporters.bisect.onnx_dissection import OnnxDissection
    from atpn_exporters.module_names import called_names_of

    report = bisect(made.file, made.weights)

    file = OnnxDissection(made.file, None, called_names_of(reference("atpn")))
    findings = report.examination.findings
    held = {position for finding in findings for position in finding.layer.operators}
    assert held == set(range(len(file.operators)))
    named = {finding.layer.name for finding in findings}
    assert {"low.stem.conv", "alignment.neck.up_low", "heatmap", "tracking.head.linear"} <= named
    assert all(finding.isolated.relative < 1e-5 for finding in findings)
    assert all(f.cumulative is not None and f.cumulative.relative < 1e-3 for f in findings)
    assert report.worst.damage.score < 0.01


def test_command_writes_table_json_and_plot_of_a_file_without_facts(
    made: Made, tmp_path: Path
) -> None:
    import onnx

    pytest.importorskip("matplotlib", reason="needs matplotlib")
    model, file = onnx.load(made.file), tmp_path / "file.onnx"
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=r"does not say which checkpoint.*--weights FILE"):
        bisect(file)
    result = command(file, "--checkpoint", made.weights)
    assert result.exit_code == 0, result.output
    assert "no layer does more than rounding" in result.output
    layers = json.loads((tmp_path / "file.onnx.bisect.json").read_text())["layers"]
    scores = [layer["damage"]["score"] for layer in layers]
    assert scores == sorted(scores, reverse=True)
    assert (tmp_path / "file.onnx.bisect.png").read_bytes()[:4] == b"\x89PNG"
    assert "</svg>" in (tmp_path / "file.onnx.bisect.svg").read_text()


def test_a_fault_is_isolated_in_its_layer_and_drifts_into_those_behind_it(
    made: Made, tmp_path: Path, reference: Callable[[str | ATPNConfig], ATPN]
) -> None:
    import copy

    from atpn_deploy.weights import save_state

    other = copy.deepcopy(reference("atpn"))
    other.alignment.head.linear.bias.data += 0.01
    save_state(other, tmp_path / "other.safetensors")
    report = bisect(made.file, tmp_path / "other.safetensors")
    assert report.worst.layer.name == "alignment.head.linear"
    assert report.worst.damage.landmarks_px == pytest.approx(0.01 * 2**0.5 * 112, rel=0.01)
    rest = {f.layer.name: f for f in report.examination.findings[1:]}
    assert all(finding.isolated.relative < 1e-5 for finding in rest.values())
    before, behind = rest["alignment.head.depthwise"].cumulative, rest["heatmap"].cumulative
    assert before is not None
    assert before.relative < 1e-4
    assert behind is not None
    assert behind.relative > 1e-3
    assert "made from another checkpoint" in report.notes[0]


def test_two_layers_that_make_good_for_each_other_are_one(made: Made, tmp_path: Path) -> None:
    """A converter may add a convolution's bias to the constant map behind it instead."""
    import onnx

    model = onnx.load(made.file)
    for tensor in model.graph.initializer:
        change = {"alignment.coord.0.conv.bias": 3, "alignment.coord.0.offset": -3}
        if tensor.name in change:
            array = onnx.numpy_helper.to_array(tensor) + np.float32(change[tensor.name])
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(model.SerializeToString())
    report = bisect(moved, made.weights)
    assert report.worst.damage.score < 0.01
    [joined] = [f for f in report.examination.findings if f.layer.name == "alignment.coord.0.conv"]
    assert {"alignment.coord.0.conv", "alignment.coord.0"} <= set(joined.layer.merged)


def test_file_of_unknown_weights_says_what_to_give(made: Made) -> None:
    with pytest.raises(ArtifactError, match=r"not one that is shipped.*--weights FILE"):
        bisect(made.file)


def test_foreign_graph_is_refused_in_one_line(made: Made, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["picture"], ["result"])],
        "foreign",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 3])],
    )
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
    result = command(foreign, "--weights", made.weights)
    assert result.exit_code != 0
    assert "expected the one input image" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_truncated_and_missing_files_are_one_line(made: Made, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(made.file.read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="truncated"):
        bisect(broken, made.weights)
    with pytest.raises(ArtifactError, match="does not exist"):
        bisect(tmp_path / "none.onnx", made.weights)
    with pytest.raises(WeightsError, match="does not exist"):
        bisect(made.file, tmp_path / "none.safetensors")


def test_format_whose_layers_cannot_be_told_apart_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    blind = replace(ONNX_FP32, dissect=None)
    monkeypatch.setattr(bisect_run, "by_suffix", lambda path: blind)
    with pytest.raises(UnsupportedError, match="can't be looked at one by one; export"):
        bisect(tmp_path / "file.onnx")
