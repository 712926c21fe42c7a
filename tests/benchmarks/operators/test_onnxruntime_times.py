"""ONNX Runtime's profiler on a network of two traced convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks.operators.counted import Counted
from atpn_benchmarks.operators.onnxruntime_times import _window, counted_behind, filled
from atpn_benchmarks.operators.timing import profile

SIDE, CHANNELS = 28, 16


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """Conv, Relu, Conv, Mean as the tracing exporter names them."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.ones((CHANNELS, CHANNELS, 3, 3), np.float32)
    nodes = [
        _node("Conv", ["image", "weights"], "/low/stem/conv/Conv", pads=[1, 1, 1, 1]),
        _node("Relu", ["/low/stem/conv/Conv_output_0"], "/low/stem/act/Relu"),
        _node("Conv", ["/low/stem/act/Relu_output_0", "weights"], "/low/second/Conv"),
        _node("GlobalAveragePool", ["/low/second/Conv_output_0"], "/head/GlobalAveragePool"),
        _node("Identity", ["/head/GlobalAveragePool_output_0"], "result"),
    ]
    nodes[-1].output[0] = "result"
    shape = (1, CHANNELS, SIDE, SIDE)
    graph = helper.make_graph(
        nodes,
        "traced",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, (1, CHANNELS, 1, 1))],
        [numpy_helper.from_array(weights, "weights")],
    )
    path = tmp_path / "traced.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _node(kind, inputs, name, **attributes):
    from onnx import helper

    return helper.make_node(kind, inputs, [f"{name}_output_0"], name=name, **attributes)


@pytest.mark.needs("onnx", "onnxruntime")
def test_a_fused_node_has_the_modules_and_multiply_adds_of_its_layer(traced, tmp_path):
    found = profile(traced, rounds=3)
    layers = {o.module: o.macs for o in found.operators if o.kind == "Conv 3x3" or o.macs}
    weights = CHANNELS * CHANNELS * 9
    assert list(layers.values()) == [weights * SIDE**2, weights * (SIDE - 2) ** 2]
    assert [name.split(".")[:2] for name in layers] == [["low", "stem"], ["low", "second"]]
    assert sum(o.macs for o in found.operators) == sum(layers.values())
    assert "Relu" not in {o.kind for o in found.operators}
    assert found.runs == 15
    assert found.whole_s > 0
    assert found.delegation is None
    assert all(o.module for o in found.operators)
    assert list(tmp_path.iterdir()) == [traced]  # the profiler's file is gone


def test_names_that_the_optimiser_wrote_lead_to_their_layer():
    counted = {"/low/stem/act/Relu_output_0": Counted("low.stem.act", 7), "Conv_3": Counted("", 5)}
    assert counted_behind("/low/stem/act/Relu_output_0_nchwc", counted).macs == 7
    assert counted_behind("fused Conv_3_token_12", counted).macs == 5
    assert counted_behind("/high/high.0/conv/Conv_token_4", counted) == Counted("high.0.conv")
    assert counted_behind("/heatmap/Gather_1/SliceFusion", counted) == Counted("heatmap")
    assert counted_behind("ReorderOutput_token_1", counted) == Counted()


def test_nodes_that_the_optimiser_put_in_belong_to_what_they_serve():
    kinds = ["Conv", "ReorderOutput", "ReorderInput", "Conv", "Add"]
    assert filled(["a", "", "", "b", ""], kinds) == ["a", "a", "b", "b", "b"]


def test_a_convolution_tells_its_window():
    def window(kind: str, *shapes: list[int]) -> str:
        return _window({"op_name": kind, "input_type_shape": [{"float": s} for s in shapes]})

    image = [1, 48, 28, 28]
    assert window("Conv", image, [48, 1, 5, 5], [48]) == " 5x5 depthwise"
    assert window("QLinearConv", image, [], [], [24, 48, 1, 1], [24]) == " 1x1"
    assert window("Add", image, image) == ""
    assert window("ConvTranspose", [1, 48, 28]) == ""
