"""Float .onnx to half-size weights, dynamic int8 and static int8 (QDQ), and the latter's ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE
from atpn_deploy.errors import CalibrationError, ExportError
from atpn_exporters.calibration import required_ranges
from atpn_exporters.module_names import traced_label
from atpn_exporters.observer import RangeObserver
from atpn_exporters.onnx_convert import first_line, strip
from atpn_exporters.target import PlannedOperator, Ranges
from atpn_exporters.tracing import is_within

if TYPE_CHECKING:
    import onnx

#: Weights of fewer values stay float32: together they are 3 % of the file, and halving them costs
#: three times the landmark drift (0.036 px instead of 0.010 in the mid of training).
HALF_FROM = 2000
#: Operators with weights, as input 1.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
#: What the static recipe quantises. ConvTranspose, HardSwish, HardSigmoid and ReduceMean are left
#: out: ONNX Runtime has no integer kernel for the first three and gains nothing by the last.
STATIC_OPERATORS = ("Conv", "Gemm", "Add", "Mul", "Concat", "Relu", "Reshape", "Transpose")

#: Operators that are float where all that they join is: int8 between floats only loses.
JOINING = ("Add", "Concat")


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large weights in float16 and cast them to float32 where they are used.

    ONNX Runtime folds the casts when it opens the file. Halving the activations too was measured:
    the same drift, for the weights decide it, at two to four times the latency, for its CPU
    kernels compute in float32 and cast back and forth.
    """
    import onnx

    readers = {node.input[1] for node in model.graph.node if node.op_type in WEIGHTED}
    casts = []
    for tensor in model.graph.initializer:
        name = tensor.name
        values = onnx.numpy_helper.to_array(tensor)
        if name in readers and values.size >= HALF_FROM:
            if not np.abs(values).max() <= np.finfo(np.float16).max:
                raise ExportError(f"{name} has values beyond float16; export fp32 instead")
            half = values.astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.float16"))
            casts.append(
                onnx.helper.make_node(
                    "Cast",
                    [f"{name}.float16"],
                    [name],
                    name=f"{name}/Cast",
                    to=onnx.TensorProto.FLOAT,
                )
            )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def to_dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights uint8; activations are quantised when the file runs.

    The quantizer gives linear layers a scale per channel and convolutions one per tensor.
    Depthwise convolutions stay float: ONNX Runtime's integer ones are ten times slower, and they
    hold 3 % of the weights. Unsigned weights run three times as fast as signed ones there.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode

    quantizer = ONNXQuantizer(
        onnx.shape_inference.infer_shapes(model),
        True,  # per channel where the quantizer can
        False,  # the full range of 8 bits
        QuantizationMode.IntegerOps,
        False,  # dynamic
        QuantType.QUInt8,
        QuantType.QUInt8,
        None,
        [],
        [node.name for node in model.graph.node if _is_depthwise(node)],
        ["Conv", "Gemm", "MatMul"],
        {"MatMulConstBOnly": True},
    )
    return _quantized(quantizer)


def to_static_int8(
    model: onnx.ModelProto, ranges: Ranges, float_modules: Sequence[str] = ()
) -> onnx.ModelProto:
    """Weights int8 per channel, activations uint8, from ranges alone (QDQ form).

    Unsigned activations: the same accuracy as signed ones, and on x86 ONNX Runtime runs them two
    to three times as fast. What follows a linear layer (heat map, tanh, sigmoid, mean shape) stays
    float, and so does the linear layer's result: a step of 1/255 would be half a pixel.
    `float_modules` stay float beside them. Raises CalibrationError if the ranges are those of
    another network.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    inferred = onnx.shape_inference.infer_shapes(model)
    known = _checked_ranges(inferred, ranges)
    data = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in known.items()
    }
    quantizer = QDQQuantizer(
        inferred,
        True,  # per channel
        False,  # the full range of 8 bits
        QuantType.QInt8,
        QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, data),
        [],
        list(dict.fromkeys((*float_nodes(inferred), *_nodes_in(inferred, float_modules)))),
        list(STATIC_OPERATORS),
        {
            "OpTypesToExcludeOutputQuantization": ["Gemm"],
            "ForceQuantizeNoInputCheck": True,  # so that the image is transposed as bytes
        },
    )
    return _quantized(quantizer)


class Quantizer(Protocol):
    """What ONNX Runtime's two quantizers have in common."""

    def quantize_model(self) -> onnx.ModelProto:
        """Quantise the model that the quantizer was made with."""


def _quantized(quantizer: Quantizer) -> onnx.ModelProto:
    """Run ONNX Runtime's quantizer; its failures become ExportError."""
    try:
        model = quantizer.quantize_model()
    except (RuntimeError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise ExportError(f"ONNX Runtime's quantizer failed: {first_line(error)}") from error
    _sort_nodes(model)
    return strip(model)


def _sort_nodes(model: onnx.ModelProto) -> None:
    """Put every node behind those that it reads, which the quantizer does not keep."""
    nodes = list(model.graph.node)
    producer = {name: index for index, node in enumerate(nodes) for name in node.output}
    reads = {
        index: [producer[name] for name in node.input if name in producer]
        for index, node in enumerate(nodes)
    }
    ordered = [nodes[index] for index in TopologicalSorter(reads).static_order()]
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def _is_depthwise(node: onnx.NodeProto) -> bool:
    return any(a.name == "group" and a.i > 1 for a in node.attribute)


def float_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that the static recipe leaves in float.

    The linear layers and those fed by nothing else, the gate of a squeeze-excite, whose two factors
    come from operators without an integer kernel, the 7x7 depthwise heads, whose sums are the
    finest numbers of the network, and what feeds them between hard-swishes, see `_before_head`.

    A linear layer in int8 would have the head before it write 8 bits, and ONNX Runtime then
    quantises the head's weights too, with one scale for all: 0.9 of the 1.05 px of `atpn`.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer} | {""}
    after_linear: set[str] = set()
    names = []
    for node in model.graph.node:  # in topological order
        inputs = set(node.input) - constants
        if node.op_type == "Gemm" or (inputs and inputs <= after_linear):
            after_linear.update(node.output)
            names.append(node.name)
        elif node.op_type == "Reshape" and maker[node.input[0]].name in names:
            names.append(node.name)
        elif node.op_type == "Mul" and "/squeeze_excite/" in node.name:
            names.append(node.name)
        elif node.op_type == "Conv" and node.name.endswith("/head/depthwise/Conv"):
            names += [node.name, *_before_head(maker, node)]
    return names


def _before_head(maker: dict[str, onnx.NodeProto], head: onnx.NodeProto) -> list[str]:
    """The concatenation, the additions and the coarsest convolution that feed hard-swishes.

    ONNX Runtime has no integer hard-swish: between two float operators an int8 tensor only loses.
    """
    joined = maker[head.input[0]]
    if joined.op_type != "Concat":
        return []
    swishes = [maker[name] for name in joined.input]
    if any(node.op_type != "HardSwish" for node in swishes):
        return []
    names = [joined.name]
    for swish in swishes:
        addition = maker[swish.input[0]]
        names.append(addition.name)
        for name in addition.input:
            conv = maker.get(name)
            if conv is not None and conv.op_type == "Conv" and not _is_strided(conv):
                names.append(conv.name)
    return names


def planned(model: onnx.ModelProto) -> list[PlannedOperator]:
    """What the static recipe does to each node."""
    left = set(float_nodes(model))
    return [
        PlannedOperator(
            traced_label(node.name),
            node.output[0],
            node.op_type not in STATIC_OPERATORS or node.name in left,
        )
        for node in model.graph.node
    ]


def _nodes_in(model: onnx.ModelProto, modules: Sequence[str]) -> list[str]:
    """Names of the nodes that lie in one of the modules, and of what only joins their results."""
    constants = {tensor.name for tensor in model.graph.initializer} | {""}
    made: set[str] = set()
    names = []
    for node in model.graph.node:
        data = set(node.input) - constants
        joins = node.op_type in JOINING and bool(data) and data <= made
        if joins or any(is_within(traced_label(node.name), module) for module in modules):
            names.append(node.name)
            made.update(node.output)
    return names


def _is_strided(node: onnx.NodeProto) -> bool:
    return any(a.name == "strides" and max(a.ints) > 1 for a in node.attribute)


def activations(model: onnx.ModelProto) -> list[str]:
    """Every float tensor of a shape-inferred model that is computed or given, in graph order."""
    import onnx

    of_type = {
        value.name: value.type.tensor_type.elem_type
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
    }
    produced = [IMAGE.name, *(name for node in model.graph.node for name in node.output)]
    return [name for name in produced if of_type.get(name) == onnx.TensorProto.FLOAT]


def _checked_ranges(model: onnx.ModelProto, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """The ranges of this model's activations, the image's taken from the contract."""
    known = required_ranges(activations(model), ranges)
    # The bytes of an image lose nothing with scale 1 and zero point 0.
    known[IMAGE.name] = (0.0, 255.0)
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.input[0] == IMAGE.name:
            known[node.output[0]] = (0.0, 255.0)
    return known


def collect_ranges(
    float_model: Path, crops: NDArray[np.uint8], progress: Callable[[int], None] | None = None
) -> Ranges:
    """The range of every activation over the crops (N, 112, 112, 3), as `RangeObserver` has it.

    `progress` is called with the number of crops done. Raises CalibrationError without crops or
    for crops of another shape.
    """
    import onnx

    from atpn_deploy.onnx_runtime import open_session

    if crops.shape[1:] != IMAGE.shape[1:] or not len(crops):
        raise CalibrationError(
            f"calibration crops have shape {crops.shape}; expected (N, 112, 112, 3), N > 0"
        )
    model = onnx.shape_inference.infer_shapes(onnx.load(float_model))
    names = [name for name in activations(model) if name != IMAGE.name]
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    ]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    session = open_session(model.SerializeToString(), threads=1)
    observer = RangeObserver([IMAGE.name, *names])
    for done, crop in enumerate(crops, 1):
        image = crop[None].astype(np.float32)
        values = [image, *session.run(names, {IMAGE.name: image})]
        observer.add((value.min() for value in values), (value.max() for value in values))
        if progress is not None:
            progress(done)
    return observer.ranges()
