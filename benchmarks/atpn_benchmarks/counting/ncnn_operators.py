"""An ncnn model for counting: which of its layers compute, and the shapes that ncnn finds."""

from __future__ import annotations

from pathlib import Path

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.contract import IMAGE
from atpn_exporters import ncnn_graph
from atpn_exporters.ncnn_graph import CONSTANT, WEIGHTED, Stored
from atpn_exporters.ncnn_package import read_package
from atpn_exporters.ncnn_session import blob_shapes

#: Bytes of an element as a .bin stores it.
ITEM_BYTES = {"float32": 4, "float16": 2}
VOCABULARY = Vocabulary(
    layers={
        "Convolution": Layer("conv"),
        "ConvolutionDepthWise": Layer("conv"),
        "Deconvolution": Layer("deconv"),
        "InnerProduct": Layer("linear"),
    },
    free=frozenset(
        """
        BinaryOp Clip Concat Crop HardSigmoid HardSwish Permute Pooling ReLU Reduction Sigmoid
        Slice TanH UnaryOp
        """.split()
    ),
    channel_axis=0,  # (channels, height, width)
    # ncnn's own names: a blob that several layers read passes through a Split.
    views=frozenset(("ExpandDims", "Reshape", "Split", "Squeeze")),
)


def read(path: Path, signature: str | None) -> Graph:
    """The layers that lead to the signature's outputs; None takes all.

    A .param gives no shapes, so ncnn runs the model once and tells them. Raises ArtifactError for
    a folder that is no model, MissingToolError without ncnn.
    """
    package = read_package(path)
    layers = ncnn_graph.layers_of(package)
    shapes = blob_shapes(package, signature)
    stored = {s.layer.name: s for s in ncnn_graph.stored_weights(layers, package.weights)}
    values = {name: Value(name, shape, "float32") for name, shape in shapes.items()}
    nodes = []
    for position, layer in enumerate(layers):
        if layer.kind == CONSTANT:
            values[layer.outputs[0]] = _constant(layer.outputs[0], stored[layer.name])
        needed = tuple(name for name in layer.outputs if name in values)
        if layer.kind in (CONSTANT, "Input") or not needed:
            continue
        constants = _constants(layer, stored[layer.name]) if layer.name in stored else ()
        values.update({value.name: value for value in constants})
        nodes.append(
            Node(
                name=layer.name,
                kind=layer.kind,
                inputs=(*layer.inputs, *(value.name for value in constants)),
                outputs=needed,
                position=position,
            )
        )
    return Graph(tuple(nodes), values, (IMAGE.name,), _ends(nodes))


def _constant(name: str, stored: Stored) -> Value:
    return Value(name, (stored.count,), "float32", True)


def _constants(layer: ncnn_graph.Layer, stored: Stored) -> tuple[Value, ...]:
    """A layer's weights, which ncnn unpacks to float32 when it loads them, and its bias."""
    _, bias, outputs = WEIGHTED[layer.kind]
    packed = stored.count * ITEM_BYTES[stored.kind]
    weights = Value(f"{layer.name}.weight", (stored.count,), "float32", True, packed)
    if not layer.number(bias):
        return (weights,)
    return weights, Value(f"{layer.name}.bias", (layer.number(outputs),), "float32", True)


def _ends(nodes: list[Node]) -> tuple[str, ...]:
    read = {name for node in nodes for name in node.inputs}
    return tuple(name for node in nodes for name in node.outputs if name not in read)
