"""Which PyTorch module each operator of a file belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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

    The layers of a file are those of the network, one by one, if their weights are as many: a name
    may be that of an activation which the layer computes as well. Names tell of the others, and of
    all where the order is another. What has none goes by the module that its first input comes
    from; "" is left for what comes before every module.
    """
    found = {name: module for name, module in naming(graph, architecture).items() if module}
    layers = _layers(graph, vocabulary)
    if _alike([weights for _, weights in layers], [weights for _, weights in architecture.layers]):
        for (node, _), (path, _) in zip(layers, architecture.layers, strict=True):
            found[node.result] = path
    for node in graph.nodes:
        sources = [found[name] for name in node.inputs if name in found]
        module = found.get(node.result) or (sources[0] if sources else "")
        for name in node.outputs:
            found.setdefault(name, module)
    return found


def _alike(weights: Sequence[int], expected: Sequence[int]) -> bool:
    """Whether these are the layers; a converter may fill one up with zeros, but not double it."""
    return len(weights) == len(expected) and all(
        there <= here < 2 * there for here, there in zip(weights, expected, strict=True)
    )


def by_path(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For files whose names begin with the module's own path."""
    known = architecture.called.keys()
    return {node.result: _known_part(node.label, ".", known) for node in graph.nodes}


def by_label(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For files whose names begin with the module's path as a trace of calls shows it."""
    numbers: dict[str, int] = {}
    known = set(architecture.called.values())
    named = [
        NamedOperator(
            _known_part(node.label, ".", known),
            tuple(numbers.setdefault(name, len(numbers)) for name in node.inputs),
            tuple(numbers.setdefault(name, len(numbers)) for name in node.outputs),
        )
        for node in graph.nodes
    ]
    found = owners(named, architecture.called)
    return {node.result: module for node, module in zip(graph.nodes, found, strict=True)}


def by_written_name(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For programs whose names begin with the module's path as MIL spells it."""
    paths = {written(path): path for path in architecture.called}
    ends = set(graph.outputs)  # named by the contract, and `pose` is a module too
    return {
        node.result: paths[_known_part(node.label.removesuffix(HALF), "_", paths.keys())]
        for node in graph.nodes
        if node.result not in ends
    }


def by_order(graph: Graph, architecture: Architecture) -> dict[str, str]:
    """For files whose names tell nothing."""
    del graph, architecture
    return {}


def _known_part(name: str, separator: str, known: Collection[str]) -> str:
    """The longest beginning of a name, cut at separators, that is known; "" if none is."""
    while name and name not in known:
        name = name.rpartition(separator)[0]
    return name


def _layers(graph: Graph, vocabulary: Vocabulary) -> list[tuple[Node, int]]:
    """The layers and how many weights each has."""
    found = []
    for node in graph.nodes:
        layer = vocabulary.layer_of(node)
        if layer is not None:
            found.append((node, graph.values[node.inputs[layer.weights]].elements or 0))
    return found
