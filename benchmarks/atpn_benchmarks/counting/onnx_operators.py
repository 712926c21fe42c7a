"""An .onnx's graph for counting: which of its operators are layers, views, activations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.errors import ArtifactError, MissingToolError
from atpn_exporters.module_names import traced_label
from atpn_exporters.onnx_convert import first_line
from atpn_exporters.onnx_graph import integer_nodes

if TYPE_CHECKING:
    import onnx

#: What the tracing exporter calls tensors and nodes begins so, whatever a quantizer adds to it.
TRACED = re.compile(r"^(?:/[^/]+)*/[A-Z][A-Za-z]+")
#: Convolutions that ONNX Runtime writes into optimised files, with an activation inside.
FUSED = "FusedConv"
VOCABULARY = Vocabulary(
    layers={
        "Conv": Layer("conv"),
        FUSED: Layer("conv"),
        "ConvInteger": Layer("conv", bias=None),
        # Data, its scale and zero point, weights, theirs, the result's, bias.
        "QLinearConv": Layer("conv", weights=3, bias=8),
        "ConvTranspose": Layer("deconv"),
        "Gemm": Layer("linear"),
        "MatMul": Layer("matmul", bias=None),
        "MatMulInteger": Layer("matmul", bias=None),
        "QLinearMatMul": Layer("matmul", weights=3, bias=None),
    },
    free=frozenset(
        """
        Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat
        ConstantOfShape Cos CumSum DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Elu Equal
        Erf Exp Expand Floor Gather GatherElements GatherND Gelu GlobalAveragePool GlobalMaxPool
        Greater GreaterOrEqual HardSigmoid HardSwish InstanceNormalization LRN LayerNormalization
        LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization Max MaxPool Mean Min Mish Mod Mul
        Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL2 ReduceMax
        ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Resize Round Selu Shape
        Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Sub Sum Tanh
        ThresholdedRelu Tile TopK Transpose Trilu Upsample Where
        """.split()
    ),
    channel_axis=1,
    views=frozenset(("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")),
    quantizing=frozenset(("QuantizeLinear",)),
    dequantizing=frozenset(("DequantizeLinear",)),
    # Those that ONNX Runtime puts into the convolution or linear layer before them.
    activations=frozenset(("Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh")),
    trained={"BatchNormalization": (1, 2, 3, 4), "PRelu": (1,)},
)


def read(path: Path, signature: str | None) -> Graph:
    """The file's one graph, whatever signature is asked for, for a batch of one.

    Raises ArtifactError for a file that is none, MissingToolError without onnx.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingToolError(
            f"counting {path} needs onnx: pip install -c constraints.txt 'atpn-deploy[onnx]'"
        ) from error
    try:
        model = onnx.load(path)
    except (OSError, DecodeError, ValueError) as error:
        raise ArtifactError(f"{path} is no .onnx file or is truncated") from error
    if not model.graph.node:
        raise ArtifactError(f"{path} is no .onnx file: it holds no operator")
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(value.name for value in model.graph.input if value.name not in constants)
    try:
        values = _values(model, inputs)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    values.update(_measured(model, values, inputs))
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            if name:
                values.setdefault(name, Value(name, None, "float32"))
    return Graph(
        tuple(_nodes(model)), values, inputs, tuple(value.name for value in model.graph.output)
    )


def _nodes(model: onnx.ModelProto) -> list[Node]:
    integers = integer_nodes(model)
    nodes = []
    for position, (node, integer) in enumerate(zip(model.graph.node, integers, strict=True)):
        traced = TRACED.match(node.name) or TRACED.match(node.output[0])
        nodes.append(
            Node(
                name=node.name or node.output[0],
                kind=node.op_type,
                inputs=tuple(node.input),
                outputs=tuple(name for name in node.output if name),
                label=traced_label(traced[0]) if traced else "",
                position=position,
                integer=integer,
            )
        )
    return nodes


def _values(model: onnx.ModelProto, inputs: tuple[str, ...]) -> dict[str, Value]:
    """All values whose type is given or follows; onnx knows no operator of ONNX Runtime's own."""
    import onnx

    known = onnx.ModelProto()
    known.CopyFrom(model)
    for node in known.graph.node:
        if node.op_type == FUSED:  # of a convolution's shape
            node.op_type, node.domain = "Conv", ""
            kept = [a for a in node.attribute if not a.name.startswith("activation")]
            del node.attribute[:]
            node.attribute.extend(kept)
            del node.input[3:]
    for value in known.graph.input:
        sides = value.type.tensor_type.shape.dim
        if value.name in inputs and sides and not sides[0].dim_value:
            sides[0].dim_value = 1
    del known.graph.value_info[:]
    for value in known.graph.output:  # what is declared may name the batch, which is 1 here
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(known, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise ArtifactError(f"its shapes contradict each other: {first_line(error)}") from error
    values = {
        value.name: _value(value)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    for tensor in model.graph.initializer:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        values[tensor.name] = Value(tensor.name, tuple(tensor.dims), dtype, True)
    return values


def _measured(
    model: onnx.ModelProto, values: Mapping[str, Value], inputs: tuple[str, ...]
) -> dict[str, Value]:
    """The values whose shapes do not follow, such as what a computed size decides, from one run.

    Empty without ONNX Runtime, or where it can't run the model: they stay unknown then.
    """
    import onnx

    unknown = [
        name
        for node in model.graph.node
        for name in node.output
        if name and (name not in values or values[name].shape is None)
    ]
    feeds = {
        name: np.zeros(values[name].shape or (), values[name].dtype)
        for name in inputs
        if values[name].shape is not None
    }
    if not unknown or len(feeds) < len(inputs) or find_spec("onnxruntime") is None:
        return {}
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    from atpn_deploy.onnx_runtime import open_session

    wanted = onnx.ModelProto()
    wanted.CopyFrom(model)
    del wanted.graph.output[:]
    wanted.graph.output.extend(onnx.ValueInfoProto(name=name) for name in unknown)
    try:
        results = open_session(wanted.SerializeToString(), threads=1).run(unknown, feeds)
    except (
        failures.Fail,
        failures.InvalidArgument,
        failures.InvalidGraph,
        failures.NotImplemented,
        failures.RuntimeException,
    ):
        return {}
    return {
        name: Value(name, tuple(result.shape), result.dtype.name)
        for name, result in zip(unknown, results, strict=True)
    }


def _value(info: onnx.ValueInfoProto) -> Value:
    import onnx

    kind = info.type.tensor_type
    dtype = "float32"
    if kind.elem_type:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    shape = None
    if kind.HasField("shape") and all(side.HasField("dim_value") for side in kind.shape.dim):
        shape = tuple(int(side.dim_value) for side in kind.shape.dim)
    return Value(info.name, shape, dtype)
