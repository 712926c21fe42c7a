"""What an .onnx file holds: operators, which of them compute in float, and the scheme found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from atpn_deploy.errors import ArtifactError
from atpn_exporters.target import GraphFacts

if TYPE_CHECKING:
    import onnx

#: Operators that ONNX Runtime replaces by integer kernels where QDQ pairs surround them.
QDQ_KERNELS = frozenset(("Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "Relu"))
#: Operators that are integer by themselves or only convert.
INTEGER = frozenset(
    (
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "ConvInteger",
        "MatMulInteger",
        "Cast",
        "Constant",
    )
)
#: Operators that move values and compute none.
MOVING = frozenset(("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Gather", "Slice", "Identity"))
#: Operators whose input 1 is a weight.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "ConvInteger", "MatMulInteger")


def inspect(path: Path) -> GraphFacts:
    """Read the facts of an .onnx file; ArtifactError if it is not one."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except (OSError, DecodeError, ValueError) as error:
        raise ArtifactError(f"{path} is no .onnx file or is truncated") from error
    if not model.graph.node:
        raise ArtifactError(f"{path} is no .onnx file: it holds no operator")
    operators = Counter(node.op_type for node in model.graph.node)
    floats = Counter(node.op_type for node in float_nodes(model))
    return GraphFacts(
        operators=dict(sorted(operators.items())),
        float_operators=dict(sorted(floats.items())),
        transposes=operators["Transpose"],
        partitions=None,
        undelegated={},
        scheme=_scheme(model, floats),
    )


def float_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The operators that compute in float: not one in QDQ pairs that has an integer kernel."""
    return [
        node
        for node, integer in zip(model.graph.node, _wrapped(model, QDQ_KERNELS), strict=True)
        if not (node.op_type in INTEGER or node.op_type in MOVING or integer)
    ]


def integer_nodes(model: onnx.ModelProto) -> list[bool]:
    """For each operator, in the file's order, whether it works on the integers of QDQ pairs.

    Those that only move values do so as well as those that have an integer kernel.
    """
    return _wrapped(model, QDQ_KERNELS | MOVING)


def _wrapped(model: onnx.ModelProto, kinds: frozenset[str]) -> list[bool]:
    """Whether each operator is of these kinds and all that it reads and writes is quantised."""
    producer = {name: node.op_type for node in model.graph.node for name in node.output}
    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    found = []
    for node in model.graph.node:
        dequantized = all(producer.get(name) == "DequantizeLinear" for name in node.input)
        # A linear layer may hand on float: its integer kernel scales the 32-bit sums itself.
        requantized = node.op_type in ("Gemm", "MatMul") or all(
            kind == "QuantizeLinear" for name in node.output for kind in readers.get(name, ["none"])
        )
        found.append(node.op_type in kinds and dequantized and requantized)
    return found


def _scheme(model: onnx.ModelProto, floats: Mapping[str, int]) -> str:
    """One line: how most weights are stored, what activations are, what computes in float."""
    weights = _weight_kinds(model).most_common()
    kinds = {node.op_type for node in model.graph.node}
    told = ", ".join(kind for kind, _ in weights) or "none"
    if "QuantizeLinear" in kinds:
        activations = "activations uint8 (QDQ)"
    elif "DynamicQuantizeLinear" in kinds:
        activations = "activations uint8, quantised when run"
    else:
        return f"weights {told}, activations float32"
    return f"weights {told}, {activations}; in float: {', '.join(sorted(floats))}"


def _weight_kinds(model: onnx.ModelProto) -> Counter[str]:
    """How weights are stored ("int8 per channel"), counted by values."""
    import onnx

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    producer = {name: node for node in model.graph.node for name in node.output}
    kinds: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type not in WEIGHTED:
            continue
        name, scale = node.input[1], ""
        source = producer.get(name)
        if source is not None and source.op_type in ("DequantizeLinear", "Cast"):
            name = source.input[0]
            scale = source.input[1] if source.op_type == "DequantizeLinear" else ""
        elif node.op_type in ("ConvInteger", "MatMulInteger"):
            scale = name.removesuffix("_quantized") + "_scale"
        if name not in stored:
            continue
        tensor = stored[name]
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        if scale in stored:
            kind += " per channel" if sum(stored[scale].dims) > 1 else " per tensor"
        values = 1
        for length in tensor.dims:
            values *= length
        kinds[kind] += values
    return kinds
