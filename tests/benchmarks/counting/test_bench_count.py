"""atpn-bench count: what it prints, what it writes, and what it says of what it can't read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atpn_benchmarks.counting.network import count_network
from atpn_deploy.cli.bench_count import app, main
from atpn_deploy.config import ATPN_CONFIG, variant_named

pytestmark = pytest.mark.needs("torch", "fvcore", "onnx", "onnxruntime")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A 1x1 convolution from 2 to 3 channels on a 4x4 map, then an operator that nobody knows."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Inverse", ["a"], ["y"], domain="com.microsoft"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3, 4, 4))],
        [helper.make_tensor("w", TensorProto.FLOAT, (3, 2, 1, 1), [1.0] * 6)],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def test_networks_are_shown_beside_the_paper(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    done = CliRunner().invoke(app, ["--model", "atpn", "--depth", "1", "--json", str(path)])
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    network = count_network(ATPN_CONFIG)
    alignment = sum(network.module(name).macs for name in ("low", "high", "alignment"))
    assert any(f"{alignment / 1e6:.3f} 1.1 M, 0.06 G -0.6%, -0.6%" in line for line in lines)
    assert "PropNet 36.3 42.83" in lines
    assert "MTCNN 0.47 0.7 to 1.4" in lines
    assert "aten::hardswish x43" in done.stdout
    values = json.loads(path.read_text())
    [told] = values["networks"]
    assert told["branches"]["backbone + alignment branch"]["macs"] == alignment
    assert told["within_paper"] == {"backbone + alignment branch": True, "tracking branch": True}
    assert len(values["tables"]) == 2


def test_a_user_s_checkpoint_is_counted_by_its_own_config(tmp_path: Path) -> None:
    from atpn_deploy.model import ATPN
    from atpn_deploy.weights import save_state

    config = variant_named("atpn-lite", ["multiview", "heatmap"])
    save_state(ATPN(config), tmp_path / "mine.safetensors")
    arguments = ["--weights", str(tmp_path / "mine.safetensors"), "--json", "-"]
    done = CliRunner().invoke(app, arguments)
    [told] = json.loads(done.stdout)["networks"]
    assert told["name"] == config.name == "atpn-lite-without-heatmap-without-multiview"
    assert told["branches"]["all three tasks"]["macs"] == count_network(config).module("").macs
    assert not told["within_paper"]["backbone + alignment branch"]


def test_json_of_a_file_holds_its_operators_and_what_is_not_counted(small: Path) -> None:
    done = CliRunner().invoke(app, [str(small), "--modules", "--json", "-"])
    assert done.exit_code == 0
    [told] = json.loads(done.stdout)["files"]
    assert told["cost"]["macs"] == 96
    assert told["cost"]["uncounted"] == {"Inverse": 1}
    assert [operator["kind"] for operator in told["operators"]] == ["Conv", "Inverse"]
    assert told["operators"][0]["moved_bytes"] == 4 * (32 + 6 + 48)
    assert "small.onnx: not counted: Inverse" in done.stderr
    assert "(the network)" in done.stderr


def test_a_file_that_fails_is_named_and_the_others_are_counted(small: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no flatbuffer")
    done = CliRunner().invoke(app, [str(broken), str(tmp_path / "none.onnx"), str(small)])
    assert done.exit_code == 2
    assert "broken.tflite is no .tflite file" in done.stderr
    assert "none.onnx does not exist" in done.stderr
    assert "small.onnx" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.onnx", "--model", "atpn"], "leave --model and --weights out"),
        (["--model", "atpn", "--weights", "w.safetensors"], "give one of them"),
        (["--model", "atpm"], "no model is called 'atpm'"),
    ],
)
def test_what_contradicts_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["count", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
