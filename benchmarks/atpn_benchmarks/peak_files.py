"""The small files whose kernels show what a core can multiply at most: one convolution each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_benchmarks.guest.peaks import file_name

if TYPE_CHECKING:
    import onnx

#: Scales of the int8 files: sums of noise stay within the range of the result.
STEP, RESULT_STEP = 0.02, 0.5


@dataclass(frozen=True)
class Shape:
    """A convolution without stride: (1, side, side, channels) to as many channels."""

    side: int
    channels: int
    kernel: int

    @property
    def label(self) -> str:
        """`28x64x3`."""
        return f"{self.side}x{self.channels}x{self.kernel}"

    @property
    def macs(self) -> int:
        """Multiply-adds, padding included."""
        return (self.side * self.channels * self.kernel) ** 2

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """Shape of what it reads and writes, channels last."""
        return 1, self.side, self.side, self.channels


#: Shapes at which the kernels of both runtimes come close to the core's limit: weights that stay
#: in the first or second cache, rows enough to use each many times. 10 to 40 million multiply-adds.
SHAPES = (Shape(28, 128, 1), Shape(28, 192, 1), Shape(14, 256, 1), Shape(28, 64, 3))


def peak_files(folder: Path) -> tuple[Path, ...]:
    """Write the files for every runtime whose format can be written here, in float32 and int8.

    Their names say what they are: .tflite needs LiteRT's schema, .onnx needs onnx.
    """
    written = []
    for shape in SHAPES:
        for kind in ("fp32", "int8"):
            if find_spec("ai_edge_litert") is not None and find_spec("flatbuffers") is not None:
                path = folder / file_name(kind, shape.label, shape.macs, ".tflite")
                path.write_bytes(_tflite(shape, kind))
                written.append(path)
            if find_spec("onnx") is not None:
                path = folder / file_name(kind, shape.label, shape.macs, ".onnx")
                path.write_bytes(_onnx(shape, kind).SerializeToString())
                written.append(path)
    return tuple(written)


def _weights(shape: Shape, kind: str) -> NDArray[Any]:
    """(out, kernel, kernel, in) noise: -1..1 or all of int8."""
    random = np.random.default_rng(0)
    sides = (shape.channels, shape.kernel, shape.kernel, shape.channels)
    if kind == "fp32":
        return random.uniform(-1, 1, sides).astype(np.float32)
    return random.integers(-127, 128, sides).astype(np.int8)


def _tflite(shape: Shape, kind: str) -> bytes:
    """One CONV_2D, per-channel scales where it is int8."""
    from ai_edge_litert import schema_py_generated as schema

    from atpn_exporters.tflite_flatbuffer import pack

    stored, bias_type = (
        (schema.TensorType.FLOAT32, schema.TensorType.FLOAT32)
        if kind == "fp32"
        else (schema.TensorType.INT8, schema.TensorType.INT32)
    )
    weights = _weights(shape, kind)
    bias = np.zeros(shape.channels, np.float32 if kind == "fp32" else np.int32)
    each = [STEP] * shape.channels
    model = schema.ModelT()
    model.version = 3
    model.buffers = [_buffer(None), _buffer(weights), _buffer(bias)]
    subgraph = schema.SubGraphT()
    scaled = kind == "int8"
    subgraph.tensors = [
        _tensor("image", shape.pixels, stored, 0, [STEP] if scaled else []),
        _tensor("weights", weights.shape, stored, 1, each if scaled else []),
        _tensor("bias", bias.shape, bias_type, 2, [STEP * STEP] * shape.channels if scaled else []),
        _tensor("result", shape.pixels, stored, 0, [RESULT_STEP] if scaled else []),
    ]
    subgraph.inputs, subgraph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = schema.Conv2DOptionsT()
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    operator.builtinOptions.dilationHFactor = operator.builtinOptions.dilationWFactor = 1
    operator.builtinOptions.padding = schema.Padding.SAME
    subgraph.operators = [operator]
    model.subgraphs = [subgraph]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3 if scaled else 1
    model.operatorCodes = [code]
    return pack(model)


def _buffer(values: NDArray[Any] | None) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = None if values is None else np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _tensor(
    name: str, sides: tuple[int, ...], stored: int, buffer: int, scales: list[float]
) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape = name.encode(), list(sides)
    tensor.type, tensor.buffer = stored, buffer
    if scales:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scales
        tensor.quantization.zeroPoint = [0] * len(scales)
        tensor.quantization.quantizedDimension = 0
    return tensor


def _onnx(shape: Shape, kind: str) -> onnx.ModelProto:
    """One Conv, or one QLinearConv between unsigned activations and signed weights."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.moveaxis(_weights(shape, kind), -1, 1)
    stored = TensorProto.FLOAT if kind == "fp32" else TensorProto.UINT8
    sides = (1, shape.channels, shape.side, shape.side)
    constants: dict[str, NDArray[Any]] = {"weights": np.ascontiguousarray(weights)}
    if kind == "fp32":
        node = helper.make_node("Conv", ["image", "weights"], ["result"])
    else:
        constants |= {
            "step": np.array(STEP, np.float32),
            "zero": np.array(128, np.uint8),
            "none": np.array(0, np.int8),
            "result_step": np.array(RESULT_STEP, np.float32),
        }
        names = ["image", "step", "zero", "weights", "step", "none", "result_step", "zero"]
        node = helper.make_node("QLinearConv", names, ["result"])
    node.attribute.append(helper.make_attribute("pads", [shape.kernel // 2] * 4))
    graph = helper.make_graph(
        [node],
        "peak",
        [helper.make_tensor_value_info("image", stored, sides)],
        [helper.make_tensor_value_info("result", stored, sides)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
