"""Which PyTorch module each operator of a file belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from atpn_benchmarks.counting.graph import Graph, Node, Vocabulary
from atpn_exporters.coreml_names import HALF, written
from atpn_exporters.module_names import NamedOperator, called_names, owners


@dataclass(frozen=True)
class Architecture:
    """The modules of a network as it is exported."""

    called: Mapping[str, str]  # path to the path that a trace shows, see `called_names`
    layers: tuple[tuple[str, int], ...]  # (path, number of weights) in the order in which they run


#: From a file's graph to the module of each node, by the node's first output; a node whose name
#: does not tell is left out or "".
Naming = Callable[[Graph, Architecture], Mapping[str, str]]


@cache
def architecture_of(model: str, signature: str) -> Architecture | None:
    """The network of a shipped name; None for another, or without PyTorch."""
    from atpn_deploy.config import CONFIGS

    if model not in CONFIGS or find_spec("torch") is None:
        return None
    from atpn_benchmarks.counting import pytorch_operators
    from atpn_deploy.folding import FoldedATPN
    from atpn_deploy.model import ATPN

    network = FoldedATPN(ATPN(CONFIGS[model]), signature)
    graph = pytorch_operators.read(network)
    layers = _layers(graph, pytorch_operators.VOCABULARY)
    return Architecture(
        called_names(network), tuple((node.label, weights) for node, weights in layers)
    )


def modules_of(
    graph: Graph, vocabulary: Vocabulary, architecture: Architecture, naming: Naming
) -> dict[str, str]:
    """First output of each node to its module.

    The layers of a file are those of the network, one by one, if they have as many weights each: a
    name may be that of an activation which the layer computes as well. Names tell of the others,
    and of all where the order is another. What has none goes by the module that its first input
    comes from; "" is left for what comes before every module.
    """
    found = {name: module for name, module in naming(graph, architecture).items() if module}
    layers = _layers(graph, vocabulary)
    if [weights for _, weights in layers] == [weights for _, weights in architecture.layers]:
        for (node, _), (path, _) in zip(layers, architecture.layers, strict=True):
            found[node.outputs[0]] = path
    for node in graph.nodes:
        sources = [found[name] for name in node.inputs if name in found]
        module = found.get(node.outputs[0]) or (sources[0] if sources else "")
        for name in node.outputs:
            found.setdefault(name, module)
    return found


def by_label(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For files whose names begin with the module's path as a trace shows it."""
    numbers: dict[str, int] = {}
    known = set(architecture.called.values())

    def called(label: str) -> str:
        while label and label not in known:
            label = label.rpartition(".")[0]
        return label

    named = [
        NamedOperator(
            called(node.label),
            tuple(numbers.setdefault(name, len(numbers)) for name in node.inputs),
            tuple(numbers.setdefault(name, len(numbers)) for name in node.outputs),
        )
        for node in graph.nodes
    ]
    found = owners(named, architecture.called)
    return {node.outputs[0]: module for node, module in zip(graph.nodes, found, strict=True)}


def by_written_name(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For programs whose names begin with the module's path as MIL spells it."""
    paths = {written(path): path for path in architecture.called if path}

    def module(name: str) -> str:
        while name and name not in paths:
            name = name.rpartition("_")[0]
        return paths.get(name, "")

    ends = set(graph.outputs)  # named by the contract, and `pose` is a module too
    return {
        node.outputs[0]: "" if node.outputs[0] in ends else module(node.label.removesuffix(HALF))
        for node in graph.nodes
    }


def by_order(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For files whose names tell nothing."""
    del graph, architecture
    return {}


def _layers(graph: Graph, vocabulary: Vocabulary) -> list[tuple[Node, int]]:
    """The layers and how many weights each has."""
    found = []
    for node in graph.nodes:
        layer = vocabulary.layer_of(node)
        if layer is not None:
            found.append((node, graph.values[node.inputs[layer.weights]].elements or 0))
    return found
