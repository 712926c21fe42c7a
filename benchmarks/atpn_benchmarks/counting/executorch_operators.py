"""A .pte's method for counting: what XNNPACK's delegates compute, and kernels outside them."""

from __future__ import annotations

from pathlib import Path

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.errors import ArtifactError
from atpn_exporters.executorch_file import Method, read_methods
from atpn_exporters.xnnpack_graph import Tensor

VOCABULARY = Vocabulary(
    layers={
        "CONV_2D": Layer("conv"),
        "DEPTHWISE_CONV_2D": Layer("conv"),
        "TRANSPOSE_CONV": Layer("deconv"),
        "FULLY_CONNECTED": Layer("linear"),
        "BATCH_MATMUL": Layer("matmul", bias=None),
    },
    free=frozenset(
        """
        ABS ADD AVERAGE_POOL_2D CEIL CLAMP CONCATENATION CONVERT COPY COS DIV ELU EXP FLOOR GELU
        HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL NEG PAD PRELU
        RESIZE_BILINEAR RSQRT SIN SLICE SOFTMAX SQRT SQUARE SUB TANH TRANSPOSE
        """.split()
    ),
    channel_axis=-1,
    views=frozenset(("RESHAPE",)),
    activations=frozenset(("CLAMP",)),
    trained={"PRELU": (1,)},
)


def read(path: Path, signature: str | None) -> Graph:
    """The method of that signature; None takes the only one, or `full`.

    A kernel outside the delegates is there by name only: no shapes are read for it. Raises
    ArtifactError for a file that is none, or that lacks the method.
    """
    methods = {name: m for name, m in read_methods(path).items() if m.delegates or m.kernels}
    if not methods:
        raise ArtifactError(f"{path} has no method that computes anything")
    wanted = signature or ("full" if "full" in methods else next(iter(methods)))
    if wanted not in methods:
        raise ArtifactError(f"{path} has no method {wanted!r}; it has {', '.join(methods)}")
    return _neutral(methods[wanted])


def _neutral(method: Method) -> Graph:
    nodes: list[Node] = []
    values: dict[str, Value] = {}
    ends: list[str] = []
    for number, delegate in enumerate(method.delegates):
        for operator in delegate:
            for tensor in (*operator.inputs, *operator.outputs):
                value = _value(number, tensor)
                values[value.name] = value
            nodes.append(
                Node(
                    name=_name(number, operator.outputs[0]),
                    kind=operator.kind,
                    inputs=tuple(_name(number, tensor) for tensor in operator.inputs),
                    outputs=tuple(_name(number, tensor) for tensor in operator.outputs),
                    position=len(nodes),
                )
            )
            ends += [_name(number, tensor) for tensor in operator.outputs if tensor.handed_out]
    for kernel in method.kernels:
        name = f"kernel {len(nodes)}"
        values[name] = Value(name, None, "float32")
        nodes.append(Node(name, kernel, (name,), (name,), position=len(nodes)))
    written = {name for node in nodes for name in node.outputs}
    given = [name for node in nodes for name in node.inputs if name not in written]
    inputs = tuple(name for name in dict.fromkeys(given) if not values[name].constant)
    return Graph(tuple(nodes), values, inputs, tuple(ends))


def _name(delegate: int, tensor: Tensor) -> str:
    return f"{delegate}:{tensor.number}"


def _value(delegate: int, tensor: Tensor) -> Value:
    """`int8 per channel` is int8: scales are left out of all counts."""
    dtype = tensor.stores.replace(",", " ").split()[0]
    return Value(_name(delegate, tensor), tensor.shape, dtype, tensor.constant)
