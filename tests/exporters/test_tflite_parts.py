from __future__ import annotations

import struct

import numpy as np
import pytest

from atpn_deploy import tflite_interpreter
from atpn_deploy.errors import ArtifactError, ConfigError, MissingToolError
from atpn_deploy.tflite_bytes import check_complete
from atpn_deploy.tflite_interpreter import runtime_named
from atpn_exporters.tflite_convert import signatures_in
from atpn_exporters.tflite_graph import Graph, Operator, Tensor, in_float
from atpn_exporters.tflite_names import layer_of
from atpn_exporters.tflite_quantize import settle
from atpn_exporters.tflite_recipe import in_modules, left_in_float, planned
from atpn_exporters.tflite_session import Slot


def tensor(name: str, *shape: int, constant: bool = False) -> Tensor:
    return Tensor(name, shape, "FLOAT32", constant, 0)


#: image -> PAD -> CONV -> HARD_SWISH -> CONCAT(with itself) -> 7x7 head -> linear -> TANH, and the
#: linear layer's output times the features.
GRAPH = Graph(
    "full",
    {"image": 0},
    {"pose": 8},
    (
        tensor("image", 1, 4, 4, 3),
        tensor("padded", 1, 5, 5, 3),
        tensor("weights", 8, 3, 3, 3, constant=True),
        tensor("features", 1, 2, 2, 8),
        tensor("swished", 1, 2, 2, 8),
        tensor("joined", 1, 2, 2, 16),
        tensor("vector", 1, 1, 1, 16),
        tensor("linear", 1, 3),
        tensor("pose", 1, 3),
        tensor("gated", 1, 2, 2, 8),
    ),
    (
        Operator("PAD", False, (0,), (1,)),
        Operator("CONV_2D", False, (1, 2), (3,)),
        Operator("HARD_SWISH", False, (3,), (4,)),
        Operator("CONCATENATION", False, (3, 4), (5,)),
        Operator("DEPTHWISE_CONV_2D", False, (5, 2), (6,)),
        Operator("FULLY_CONNECTED", False, (6, 2), (7,)),
        Operator("TANH", False, (7,), (8,)),
        Operator("MUL", False, (3, 7), (9,)),
    ),
)


def test_float_stays_where_int8_has_no_kernel_and_stops_at_the_features():
    kinds = [op.kind for op in left_in_float(GRAPH)]
    assert kinds == ["HARD_SWISH", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TANH"]


def test_a_depthwise_convolution_inside_the_network_is_quantised():
    inside = Operator("DEPTHWISE_CONV_2D", False, (3, 2), (4,))
    graph = Graph("align", {"image": 0}, {}, GRAPH.tensors, (inside,))
    assert left_in_float(graph) == []


#: Two blocks whose results are added, then a convolution: names as the converter gives them.
BLOCKS = Graph(
    "align",
    {"image": 0},
    {},
    (
        tensor("align/align_image", 1, 8, 8, 3),
        tensor("align/constant:1", 8, 1, 1, 3, constant=True),
        tensor("align/one/conv", 1, 8, 8, 8),
        tensor("align/two/conv", 1, 8, 8, 8),
        tensor("align/output", 1, 8, 8, 8),
        tensor("align/three/conv", 1, 8, 8, 8),
    ),
    (
        Operator("CONV_2D", False, (0, 1), (2,)),
        Operator("CONV_2D", False, (0, 1), (3,)),
        Operator("ADD", False, (2, 3), (4,)),
        Operator("CONV_2D", False, (4, 1), (5,)),
    ),
)
CALLED = {name: name for name in ("", "one", "one.conv", "two", "two.conv", "three.conv")}


def test_a_recipes_modules_are_found_in_the_graph():
    chosen = in_modules(BLOCKS, CALLED, ["one"])
    assert [BLOCKS.operators.index(op) for op in chosen] == [0]
    assert in_modules(BLOCKS, CALLED, []) == []


def test_a_sum_of_float_modules_is_float_too():
    chosen = in_modules(BLOCKS, CALLED, ["one", "two.conv"])
    assert [op.kind for op in chosen] == ["CONV_2D", "CONV_2D", "ADD"]


def test_the_plan_names_module_tensor_and_what_is_float_anyway():
    plan = planned(BLOCKS, CALLED)
    assert [(op.module, op.tensor) for op in plan[:2]] == [
        ("one.conv", "align/one/conv"),
        ("two.conv", "align/two/conv"),
    ]
    assert [op.in_float for op in planned(GRAPH, CALLED)].count(True) == 4


def test_image_has_steps_of_one_and_concatenated_tensors_one_range():
    ranges = {0: (3.0, 200.0), 1: (0.0, 200.0), 3: (-4.0, 2.0), 4: (-0.4, 9.0), 5: (-4.0, 8.0)}
    settled = settle(GRAPH, {**ranges, 6: (0.0, 1.0)})
    assert settled[0] == settled[1] == (0.0, 255.0)
    assert settled[3] == settled[4] == settled[5] == (-4.0, 9.0)
    assert settled[6] == (0.0, 1.0)


def test_casts_are_no_float_operators():
    assert not in_float(GRAPH, Operator("DEQUANTIZE", False, (3,), (4,)))
    assert in_float(GRAPH, Operator("TANH", False, (7,), (8,)))


@pytest.mark.parametrize(
    ("written", "layer"),
    [
        ("a.b.Folded/c.Low_low/torch.nn.Conv2d_conv;;x.Y_z;2", "low/conv"),
        ("a.b.Folded/c.Residual_0;", "0"),
        ("a.b.Folded;1", "output"),
        ("align_image", "align_image"),
    ],
)
def test_tensor_is_named_after_its_layer(written, layer):
    assert layer_of(written) == layer


def test_int8_bytes_are_the_pixels():
    pixels = np.arange(256, dtype=np.float32)
    slot = Slot(np.int8, 1.0, -128)
    stored = slot.write(pixels)
    assert stored.dtype == np.int8
    np.testing.assert_array_equal(stored.astype(int), np.arange(256) - 128)
    np.testing.assert_array_equal(slot.read(stored), pixels)


@pytest.mark.parametrize("slot", [Slot(np.int8, 1.0, -128), Slot(np.uint8, 1.0, 0)])
def test_bytes_taken_without_arithmetic_are_those_written_with_it(slot):
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(slot.take_bytes(pixels), slot.write(pixels.astype(np.float32)))


@pytest.mark.parametrize("slot", [Slot(np.int8, 0.5, -128), Slot(np.int8, 1.0, 0)])
def test_other_steps_and_zeros_need_arithmetic(slot):
    assert slot.take_bytes(np.zeros(3, np.uint8)) is None


def test_values_beyond_the_type_are_clipped_not_wrapped():
    assert Slot(np.uint8, 1.0, 0).write(np.array([-5.0, 300.0], np.float32)).tolist() == [0, 255]


def test_unknown_runtime_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match="'tpu'; choose one of auto, litert, tflite-runtime"):
        runtime_named("tpu")


def test_absent_runtime_gives_its_own_pip_line(monkeypatch):
    monkeypatch.setattr(tflite_interpreter, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"atpn-deploy\[tensorflow\]"):
        runtime_named("tensorflow")
    with pytest.raises(MissingToolError, match=r"atpn-deploy\[tflite\]"):
        runtime_named("auto")


@pytest.mark.parametrize("reason", ["Node number 79 (SQRT) failed to prepare.", "x (SQRT)"])
def test_operator_is_named_only_where_the_runtime_names_it(reason, tmp_path):
    runtime = tflite_interpreter.RUNTIMES[1]
    path = tmp_path / "f.tflite"
    error = tflite_interpreter.refusal(path, runtime, f"Type INT8 is bad. {reason}")
    assert type(error).__name__ == ("UnsupportedError" if "Node" in reason else "ArtifactError")
    assert ("cannot run SQRT" in str(error)) == ("Node" in reason)


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00TFL", b"PK\x03\x04" * 4])
def test_foreign_bytes_are_no_tflite(content):
    with pytest.raises(ArtifactError, match="TFL3"):
        check_complete(content)


def test_root_beyond_the_end_is_cut_off():
    with pytest.raises(ArtifactError, match="cut off"):
        check_complete(struct.pack("<I", 4000) + b"TFL3" + bytes(20))


def test_unknown_signature_is_refused_with_the_choices():
    assert signatures_in("both") == ("align", "full")
    with pytest.raises(ConfigError, match="align, full, both"):
        signatures_in("pose")
