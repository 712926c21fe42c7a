"""Small .tflite files whose answer is arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from atpn_benchmarks.counting.files import cost_of, counted_operators
from atpn_deploy.errors import ArtifactError
from atpn_exporters.tflite_flatbuffer import pack

pytestmark = pytest.mark.needs("litert")

ITEM_BYTES = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "INT16": 2, "INT8": 1}


@dataclass(frozen=True)
class Stored:
    """A tensor of a file; one that is constant is filled with zeros."""

    shape: tuple[int, ...]
    dtype: str = "FLOAT32"
    constant: bool = False


@dataclass(frozen=True)
class Step:
    """An operator, its tensors by their numbers."""

    kind: str
    inputs: tuple[int, ...]
    output: int


def saved(path: Path, tensors: list[Stored], steps: list[Step], signature: str = "") -> Path:
    """A file from its first tensor to its last."""
    from ai_edge_litert import schema_py_generated as schema

    model, subgraph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [subgraph], [schema.BufferT()]
    subgraph.tensors, subgraph.operators, model.operatorCodes = [], [], []
    for number, stored in enumerate(tensors):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"stem/t{number}".encode(), list(stored.shape)
        tensor.type, tensor.buffer = getattr(schema.TensorType, stored.dtype), 0
        if stored.constant:
            buffer, size = schema.BufferT(), ITEM_BYTES[stored.dtype]
            for side in stored.shape:
                size *= side
            buffer.data = bytes(size)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        subgraph.tensors.append(tensor)
    for step in steps:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, step.kind, schema.BuiltinOperator.CUSTOM)
        if code.builtinCode == schema.BuiltinOperator.CUSTOM:
            code.customCode = step.kind.encode()
        model.operatorCodes.append(code)
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(step.inputs), [step.output]
        subgraph.operators.append(operator)
    subgraph.inputs, subgraph.outputs = [0], [len(tensors) - 1]
    model.signatureDefs = [_signature(signature, len(tensors) - 1)] if signature else []
    path.write_bytes(pack(model))
    return path


def _signature(name: str, last: int) -> object:
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.SignatureDefT()
    entry.signatureKey, entry.subgraphIndex = name.encode(), 0
    entry.inputs, entry.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    entry.inputs[0].name, entry.inputs[0].tensorIndex = b"x", 0
    entry.outputs[0].name, entry.outputs[0].tensorIndex = b"y", last
    return entry


def layer(kind: str, x: Stored, weights: Stored, y: Stored, path: Path) -> Path:
    """A file of one layer; a transposed convolution reads the shape of its result first."""
    if kind == "TRANSPOSE_CONV":
        sides = Stored((4,), "INT32", constant=True)
        return saved(path, [x, weights, sides, y], [Step(kind, (2, 1, 0), 3)])
    return saved(path, [x, weights, y], [Step(kind, (0, 1), 2)])


@pytest.mark.parametrize(
    ("kind", "x", "weights", "y", "macs"),
    [
        # Sides of results as stride 2 with padding, and dilation 2 without, leave them.
        ("CONV_2D", (1, 8, 8, 3), (5, 3, 3, 3), (1, 4, 4, 5), 16 * 5 * 27),
        ("CONV_2D", (1, 9, 9, 2), (3, 3, 3, 2), (1, 5, 5, 3), 25 * 3 * 18),
        ("CONV_2D", (1, 6, 6, 8), (8, 3, 3, 2), (1, 4, 4, 8), 16 * 8 * 18),  # four groups
        ("DEPTHWISE_CONV_2D", (1, 6, 6, 8), (1, 5, 5, 8), (1, 6, 6, 8), 36 * 8 * 25),
        ("DEPTHWISE_CONV_2D", (1, 6, 6, 8), (1, 5, 5, 16), (1, 6, 6, 16), 36 * 16 * 25),
        ("TRANSPOSE_CONV", (1, 5, 5, 4), (6, 2, 2, 4), (1, 10, 10, 6), 25 * 4 * 6 * 4),
        ("FULLY_CONNECTED", (2, 12), (7, 12), (2, 7), 2 * 7 * 12),
    ],
)
def test_multiply_adds_of_a_tflite_layer(
    tmp_path: Path,
    kind: str,
    x: tuple[int, ...],
    weights: tuple[int, ...],
    y: tuple[int, ...],
    macs: int,
) -> None:
    path = tmp_path / "layer.tflite"
    found = cost_of(layer(kind, Stored(x), Stored(weights, constant=True), Stored(y), path))
    assert (found.macs, found.int8_macs, found.uncounted) == (macs, 0, {})


@pytest.mark.parametrize(
    ("data", "weights", "int8"),
    [
        ("INT8", "INT8", 84),
        ("FLOAT32", "INT8", 84),
        ("INT16", "INT8", 0),
        ("FLOAT32", "FLOAT32", 0),
    ],
)
def test_multiply_adds_in_int8(tmp_path: Path, data: str, weights: str, int8: int) -> None:
    stored = Stored((7, 12), weights, constant=True)
    path = tmp_path / "linear.tflite"
    layer("FULLY_CONNECTED", Stored((1, 12), data), stored, Stored((1, 7), data), path)
    assert (cost_of(path).macs, cost_of(path).int8_macs) == (84, int8)


def test_half_weights_are_half_the_bytes_in_the_file_and_unpacked_when_loading(
    tmp_path: Path,
) -> None:
    tensors = [
        Stored((1, 12)),
        Stored((7, 12), "FLOAT16", constant=True),
        Stored((7, 12)),
        Stored((1, 7)),
    ]
    steps = [Step("DEQUANTIZE", (1,), 2), Step("FULLY_CONNECTED", (0, 2), 3)]
    path = saved(tmp_path / "half.tflite", tensors, steps)
    assert [operator.kind for operator in counted_operators(path)] == ["FULLY_CONNECTED"]
    found = cost_of(path)
    assert (found.weight_bytes, found.moved_bytes) == (168, 48 + 336 + 28)


def test_a_custom_operator_is_listed_by_its_own_name(tmp_path: Path) -> None:
    tensors = [Stored((1, 4)), Stored((1, 4)), Stored((1, 4))]
    steps = [Step("Landmarks2Heat", (0,), 1), Step("RESHAPE", (1,), 2)]
    path = saved(tmp_path / "custom.tflite", tensors, steps)
    assert cost_of(path).uncounted == {"Landmarks2Heat": 1}


def test_bytes_and_the_most_memory_at_once_by_hand(tmp_path: Path) -> None:
    # 48 bytes in, padded to 100, convolved to 32, activated inside the convolution
    tensors = [
        Stored((1, 4, 4, 3), "INT8"),
        Stored((1, 5, 5, 3), "INT8"),
        Stored((8, 3, 3, 3), "INT8", constant=True),
        Stored((8,), "INT32", constant=True),
        Stored((1, 2, 2, 8), "INT8"),
        Stored((1, 2, 2, 8), "INT8"),
    ]
    steps = [Step("PAD", (0,), 1), Step("CONV_2D", (1, 2, 3), 4), Step("RELU", (4,), 5)]
    path = saved(tmp_path / "bytes.tflite", tensors, steps)
    pad, conv = counted_operators(path)
    assert (conv.fused, conv.outputs[0].size_bytes, conv.parameters) == (("RELU",), 32, 224)
    found = cost_of(path)
    assert found.activation_bytes == 48 + 75
    assert found.moved_bytes == (48 + 75) + (75 + 216 + 32 + 32)
    assert (pad.position, conv.position) == (0, 1)


def test_a_signature_that_is_not_there_is_refused(tmp_path: Path) -> None:
    tensors = [Stored((1, 4)), Stored((1, 4))]
    path = saved(tmp_path / "s.tflite", tensors, [Step("RELU", (0,), 1)], signature="align")
    assert cost_of(path, "align").moved_bytes == cost_of(path).moved_bytes == 32
    with pytest.raises(ArtifactError, match="no signature 'full'; it has align"):
        cost_of(path, "full")
