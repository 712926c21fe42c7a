"""What a graph shows otherwise than it runs: constant parts, casts, activations, split layers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Vocabulary


def with_products(graph: Graph, vocabulary: Vocabulary) -> Graph:
    """Let a product with constants that is only summed up be the layer that the two make."""
    readers = _readers(graph)
    held = {name for name, value in graph.values.items() if value.constant}
    for node in graph.nodes:
        if held.issuperset(filter(None, node.inputs)):  # it runs when the file is loaded
            held.update(node.outputs)

    def is_layer(node: Node) -> bool:
        wanted, result = vocabulary.products.get(node.kind), node.result
        behind = [reader.kind for reader in readers[result]]
        return wanted is not None and behind == [wanted] and result not in graph.outputs

    nodes = []
    for node in graph.nodes:
        constants = [place for place, name in enumerate(node.inputs) if name in held]
        if is_layer(node) and len(constants) == 1 and len(node.inputs) == 2:
            weights = constants[0]
            node = replace(node, layer=Layer("product", 1 - weights, weights, None))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def settled(graph: Graph, vocabulary: Vocabulary) -> Graph:
    """The graph as its runtime sets it up when it loads the file."""
    graph = _with_activations_inside(graph, vocabulary)
    graph = _without_casts(graph, vocabulary)
    return _without_constant_nodes(graph, vocabulary)


def _without_casts(graph: Graph, vocabulary: Vocabulary) -> Graph:
    """Let nodes that compute in integers read and write these, and drop the casts left unread."""
    integers = {  # float value to the integers that it is made from
        node.outputs[0]: node.inputs[0]
        for node in graph.nodes
        if node.kind in vocabulary.dequantizing
    }
    rounded = {  # float value to the integers that are made from it
        node.inputs[0]: node.outputs[0]
        for node in graph.nodes
        if node.kind in vocabulary.quantizing
    }
    readers = _readers(graph)
    nodes, written = [], set()
    for node in graph.nodes:
        if node.integer:
            inputs = tuple(integers.get(name, name) for name in node.inputs)
            outputs = tuple(
                rounded[name]
                if name in rounded and _only_rounded(readers[name], vocabulary)
                else name
                for name in node.outputs
            )
            written.update(set(outputs) - set(node.outputs))
            node = replace(node, inputs=inputs, outputs=outputs)
        nodes.append(node)
    kept = [
        node
        for node in nodes
        if node.kind not in vocabulary.quantizing or node.outputs[0] not in written
    ]
    read = {name for node in kept for name in node.inputs} | set(graph.outputs)
    return replace(
        graph,
        nodes=tuple(
            node
            for node in kept
            if node.kind not in vocabulary.dequantizing or node.outputs[0] in read
        ),
    )


def _only_rounded(readers: list[Node], vocabulary: Vocabulary) -> bool:
    return len(readers) == 1 and readers[0].kind in vocabulary.quantizing


def _without_constant_nodes(graph: Graph, vocabulary: Vocabulary) -> Graph:
    """Drop what depends on no input: it runs once, and its result is a constant of the same bytes.

    Of a cast the first input alone is what the file stores; scales and zero points are left out.
    """
    values, nodes = dict(graph.values), []
    casts = vocabulary.quantizing | vocabulary.dequantizing
    for node in graph.nodes:
        sources = [values[name] for name in node.inputs if name]
        if not all(value.constant for value in sources):
            nodes.append(node)
            continue
        stored = sources[:1] if node.kind in casts else sources
        for name in node.outputs:
            value = values[name]
            packed = sum(source.stored_bytes for source in stored) if sources else None
            if value.packed_bytes is None:
                value = replace(value, packed_bytes=packed)
            values[name] = replace(value, constant=True)
    return replace(graph, nodes=tuple(nodes), values=values)


def _with_activations_inside(graph: Graph, vocabulary: Vocabulary) -> Graph:
    """Put an activation into the layer before it, where nothing else reads that layer's result."""
    readers = _readers(graph)
    layers: dict[str, int] = {}  # result to the layer's place in `nodes`
    nodes: list[Node] = []
    for node in graph.nodes:
        source = node.inputs[0] if node.inputs else ""
        alone = len(readers[source]) == 1 and source not in graph.outputs
        if node.kind in vocabulary.activations and source in layers and alone:
            place = layers.pop(source)
            layer = nodes[place]
            nodes[place] = replace(layer, outputs=node.outputs, fused=(*layer.fused, node.kind))
            continue
        if vocabulary.layer_of(node) is not None:
            layers[node.outputs[0]] = len(nodes)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _readers(graph: Graph) -> dict[str, list[Node]]:
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    return readers
