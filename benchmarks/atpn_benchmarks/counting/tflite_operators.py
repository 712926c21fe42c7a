"""A .tflite's graph for counting: which of its operators are layers, views, activations."""

from __future__ import annotations

from pathlib import Path

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.errors import ArtifactError
from atpn_exporters import tflite_graph
from atpn_exporters.bisect.tflite_dissection import ADDED
from atpn_exporters.tflite_flatbuffer import read_model

VOCABULARY = Vocabulary(
    layers={
        "CONV_2D": Layer("conv"),
        "CONV_3D": Layer("conv"),
        "DEPTHWISE_CONV_2D": Layer("conv"),
        # Its first input is the shape of the result.
        "TRANSPOSE_CONV": Layer("deconv", data=2, weights=1, bias=3),
        "FULLY_CONNECTED": Layer("linear"),
    },
    free=frozenset(
        """
        ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_TO CAST CEIL
        CONCATENATION COS CUMSUM DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FILL FLOOR FLOOR_DIV
        GATHER GATHER_ND GELU GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS
        LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D
        MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE RANGE
        REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESIZE_BILINEAR
        RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT SELECT_V2 SHAPE SIGN SIN SLICE
        SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE
        STRIDED_SLICE SUB SUM TANH TILE TOPK_V2 TRANSPOSE UNPACK
        """.split()
    ),
    channel_axis=-1,
    views=frozenset(("EXPAND_DIMS", "RESHAPE", "SQUEEZE")),
    quantizing=frozenset(("QUANTIZE",)),
    # A sparse constant is unpacked as a rounded one is.
    dequantizing=frozenset(("DEQUANTIZE", "DENSIFY")),
    # Those that XNNPACK computes as the bounds of the operator before it.
    activations=frozenset(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1")),
    trained={"PRELU": (1,)},
    products={"MUL": "SUM"},
    hybrid=True,
)


def read(path: Path, signature: str | None) -> Graph:
    """The graph of one signature; None takes the only one, or `full`.

    Raises ArtifactError for a file that is none, or that lacks the signature.
    """
    model = read_model(path)
    found = {graph.signature: graph for graph in tflite_graph.graphs(model)}
    if not found:
        found = {"": tflite_graph.unsigned_graph(model)}
    wanted = signature or ("full" if "full" in found else next(iter(found)))
    if wanted not in found:
        raise ArtifactError(
            f"{path} has no signature {wanted!r}; it has {', '.join(filter(None, found)) or 'none'}"
        )
    return _neutral(found[wanted])


def _neutral(graph: tflite_graph.Graph) -> Graph:
    names = [_name(graph, index) for index in range(len(graph.tensors))]
    return Graph(
        tuple(
            Node(
                name=graph.tensors[operator.outputs[0]].name if operator.outputs else operator.kind,
                kind=operator.kind,
                inputs=tuple(names[index] for index in operator.inputs),
                outputs=tuple(names[index] for index in operator.outputs),
                label=_label(graph, operator.outputs[0]) if operator.outputs else "",
                position=position,
            )
            for position, operator in enumerate(graph.operators)
        ),
        {
            names[index]: Value(names[index], tensor.shape, tensor.dtype.lower(), tensor.constant)
            for index, tensor in enumerate(graph.tensors)
        },
        tuple(names[index] for index in graph.inputs.values()),
        tuple(names[index] for index in graph.outputs.values()),
    )


def _name(graph: tflite_graph.Graph, index: int) -> str:
    """A tensor by number and name: nothing keeps a file from using one name twice."""
    return f"{index}:{graph.tensors[index].name}"


def _label(graph: tflite_graph.Graph, tensor: int) -> str:
    """The module that a tensor is named after, as atpn-export names them."""
    name = graph.tensors[tensor].name.removeprefix(f"{graph.signature}/")
    return ADDED.sub("", name).replace("/", ".")
