"""From a graph in no format's words to what each of its operators costs.

One multiply-add is one. Counted are those of convolutions, transposed convolutions, linear layers
and matrix products, padding included; a bias, an activation or a sum of tensors has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from atpn_benchmarks.counting.fusion import settled
from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_benchmarks.counting.operators import (
    Arithmetic,
    CountedConstant,
    CountedGraph,
    CountedOperator,
    CountedTensor,
)

#: Integers that a kernel of 8 bits multiplies.
EIGHT_BITS = ("int8", "uint8", "int4", "uint4", "int2", "uint2")


def count(graph: Graph, vocabulary: Vocabulary, modules: Mapping[str, str]) -> CountedGraph:
    """What every operator that depends on an input costs.

    `modules` says which module each node belongs to, by the node's result.
    """
    labelled = (replace(n, label=modules.get(n.result, "")) for n in graph.nodes)
    graph = settled(replace(graph, nodes=tuple(labelled)), vocabulary)
    return CountedGraph(
        tuple(_operator(node, graph.values, vocabulary) for node in graph.nodes),
        tuple(_tensor(graph.values[name]) for name in graph.inputs),
        graph.outputs,
    )


def _operator(node: Node, values: Mapping[str, Value], vocabulary: Vocabulary) -> CountedOperator:
    layer = vocabulary.layer_of(node)
    macs: int | None
    if layer is not None:
        macs = _multiply_adds(node, layer, values, vocabulary.channel_axis)
    else:
        macs = 0 if node.kind in vocabulary.free | vocabulary.views else None
    live = [name for name in dict.fromkeys(node.inputs) if name and not values[name].constant]
    return CountedOperator(
        name=node.name,
        position=node.position,
        kind=node.kind,
        module=node.label,
        arithmetic=_arithmetic(node, layer, values, vocabulary.hybrid) if layer else "",
        macs=macs,
        inputs=tuple(_tensor(values[name]) for name in live),
        outputs=tuple(_tensor(values[name]) for name in node.outputs),
        constants=_constants(node, layer, values, vocabulary),
        fused=node.fused,
        view=node.kind in vocabulary.views and bool(live),
    )


def _multiply_adds(
    node: Node, layer: Layer, values: Mapping[str, Value], channel_axis: int
) -> int | None:
    """By the rule of the layer; None where a shape is unknown.

    Each place of a convolution's result takes all weights of its group, so all places of one
    channel together take every weight once: places x weights. A transposed convolution spreads
    each place of what it reads instead. A matrix product takes its depth for each result, and a
    product that is summed up behind it one each.
    """
    data, weights = (values[node.inputs[i]] for i in (layer.data, layer.weights))
    result = values[node.outputs[0]]
    if data.shape is None or weights.shape is None or result.shape is None:
        return None
    if layer.rule == "product":
        return result.elements
    if layer.rule == "matmul":
        return (result.elements or 0) * data.shape[-1]
    places = data if layer.rule == "deconv" else result
    axis = -1 if layer.rule == "linear" else channel_axis
    channels = (places.shape or ())[axis]
    return (places.elements or 0) // channels * (weights.elements or 0) if channels else 0


def _arithmetic(node: Node, layer: Layer, values: Mapping[str, Value], hybrid: bool) -> Arithmetic:
    data, weights = (values[node.inputs[i]].dtype for i in (layer.data, layer.weights))
    if weights in EIGHT_BITS:
        if data in EIGHT_BITS or (hybrid and data.startswith("float")):
            return "int8"
        if data == "int16":
            return "int16x8"
    return cast(Arithmetic, data) if data in ("float32", "float16") else "float32"


def _constants(
    node: Node, layer: Layer | None, values: Mapping[str, Value], vocabulary: Vocabulary
) -> tuple[CountedConstant, ...]:
    casts = vocabulary.quantizing | vocabulary.dequantizing  # scales and zero points are left out
    if layer is None:
        trained: tuple[int | None, ...] = vocabulary.trained.get(node.kind, ())
    else:
        trained = (layer.weights, layer.bias)
    return tuple(
        CountedConstant(
            name,
            values[name].elements or 0,
            values[name].stored_bytes,
            values[name].size_bytes or 0,
            position in trained,
        )
        for position, name in enumerate(node.inputs[: 1 if node.kind in casts else None])
        if name and values[name].constant
    )


def _tensor(value: Value) -> CountedTensor:
    return CountedTensor(value.name, value.size_bytes)
