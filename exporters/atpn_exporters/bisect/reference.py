"""The reference as a graph of named values: run to any layer, or on from one that is replaced."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.module_names import called_names

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

    from atpn_deploy.model import ATPN

#: PyTorch's functions and tensor methods that are layers of their own; others only move values.
FUNCTIONS = {
    "add": "add",
    "mul": "mul",
    "cat": "concat",
    "mean": "mean",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}


@dataclass(frozen=True)
class Node:
    """One value of the reference."""

    name: str
    module: str  # path of the innermost module that computes it; empty for the network itself
    kind: str  # as in `dissection.Operator.kind`; empty where values are only moved
    inputs: tuple[str, ...]  # names of the nodes that it reads and that depend on the image
    size: int = 0  # number of elements for one crop
    weights: int = 0  # number of weights of the module
    biased: bool = False


class Network:
    """FoldedATPN of one signature, and its values on some crops.

    The folded network and not ATPN itself: the two are equal and its modules, named alike, are
    those that files are made from. Values are in double precision, so that no rounding of the
    reference's own is taken for a file's.
    """

    def __init__(self, model: ATPN, signature: str, images: NDArray[np.uint8]) -> None:
        """`images` are (N, 112, 112, 3)."""
        import torch

        from atpn_deploy.folding import FoldedATPN

        self.signature = signature
        network = FoldedATPN(model, signature)
        #: Path of every module to the path that converters see, which leaves lists out.
        self.called = called_names(network)
        graph = _merged(_trace(network))
        self._exact = _Run(copy.deepcopy(graph).double(), torch.from_numpy(images).double())
        self._quick = _Run(graph, torch.from_numpy(images).float())
        self.nodes = tuple(self._sized(node, len(images)) for node in _described(graph))

    def _sized(self, node: Node, crops: int) -> Node:
        """The node with its size; what a node says of a shape has none."""
        value = self._quick.values[node.name]
        return replace(node, size=value.numel() // crops) if hasattr(value, "numel") else node

    @property
    def output_nodes(self) -> dict[str, str]:
        """Contract name to the node whose value it is."""
        [output] = (node for node in self._quick.graph.graph.nodes if node.op == "output")
        return {name: source.name for name, source in output.args[0].items()}

    @property
    def outputs(self) -> dict[str, NDArray[np.float64]]:
        """The contract's outputs, (N, ...) by name."""
        return _arrays(self._exact.values["output"])

    def value(self, name: str) -> NDArray[np.float64]:
        """What a node computes on the crops."""
        array: NDArray[np.float64] = self._exact.values[name].numpy()
        return array

    def value_from(
        self, name: str, given: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """What a node computes where the nodes `given` have these values."""
        array: NDArray[np.float64] = self._exact.again(given, name).numpy()
        return array

    def response(
        self, name: str, change: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """The outputs where `change` is added to a node's value, and those where nothing is.

        Both in single precision, twenty times as fast as double: what depends on the node runs
        again for every layer.
        """
        changed = self._quick.values[name].numpy() + change.astype(np.float32)
        return (
            _arrays(self._quick.again({name: changed}, "output")),
            _arrays(self._quick.values["output"]),
        )


class _Run:
    """A traced network with the values of its nodes on some crops, in its own precision."""

    def __init__(self, graph: fx.GraphModule, image: torch.Tensor) -> None:
        import torch

        self.graph = graph
        self.values: dict[str, Any] = {}
        with torch.no_grad():
            for node in graph.graph.nodes:
                made = image if node.op == "placeholder" else self._compute(node, self.values)
                self.values[node.name] = made

    def again(self, given: Mapping[str, NDArray[Any]], wanted: str) -> Any:
        """The value of a node where those `given` have others; only what they reach runs."""
        import torch

        changed: dict[str, Any] = {
            name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in given.items()
        }
        needed = self._ancestors(wanted)
        with torch.no_grad():
            for node in self.graph.graph.nodes:
                reached = any(source.name in changed for source in node.all_input_nodes)
                if node.name in needed and node.name not in changed and reached:
                    changed[node.name] = self._compute(node, {**self.values, **changed})
        return changed.get(wanted, self.values[wanted])

    def _ancestors(self, name: str) -> set[str]:
        """The node and everything that it depends on."""
        by_name = {node.name: node for node in self.graph.graph.nodes}
        found: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting += [source.name for source in by_name[current].all_input_nodes]
        return found

    def _compute(self, node: fx.Node, values: Mapping[str, Any]) -> Any:
        """One node from the values of those that it reads."""
        from torch import fx

        arguments = fx.node.map_arg(node.args, lambda source: values[source.name])
        keywords = fx.node.map_arg(node.kwargs, lambda source: values[source.name])
        if node.op == "call_module":
            return self.graph.get_submodule(str(node.target))(*arguments, **keywords)
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        if node.op == "get_attr":
            module, _, attribute = str(node.target).rpartition(".")
            return getattr(self.graph.get_submodule(module), attribute)
        if node.op == "output":
            return arguments[0]
        return node.target(*arguments, **keywords)  # type: ignore[operator]


def _merged(graph: fx.GraphModule) -> fx.GraphModule:
    """Let equal operations on equal values be one, in place, as every exporter does.

    Both task branches multiply the same features by the same heat map.
    """
    first: dict[Any, fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.op in ("call_function", "call_method"):
            key = (node.op, node.target, str(node.args), str(node.kwargs))
            kept = first.setdefault(key, node)
            if kept is not node:
                node.replace_all_uses_with(kept)
                graph.graph.erase_node(node)
    return graph


def _described(graph: fx.GraphModule) -> list[Node]:
    """The nodes that depend on the image."""
    known: set[str] = set()
    nodes = []
    for node in graph.graph.nodes:
        inputs = tuple(source.name for source in node.all_input_nodes if source.name in known)
        if node.op != "output" and (inputs or node.op == "placeholder"):
            known.add(node.name)
            nodes.append(_describe(graph, node, inputs))
    return nodes


def _describe(graph: fx.GraphModule, node: fx.Node, inputs: tuple[str, ...]) -> Node:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    module = stack[-1][0] if stack else ""
    if node.op != "call_module":
        name = node.target if isinstance(node.target, str) else node.target.__name__
        return Node(node.name, module, FUNCTIONS.get(name, ""), inputs)
    layer = graph.get_submodule(str(node.target))
    weight, bias = (getattr(layer, name, None) for name in ("weight", "bias"))
    return Node(
        node.name,
        str(node.target),
        _kind_of(layer),
        inputs,
        weights=0 if weight is None else weight.numel(),
        biased=bias is not None,
    )


def _trace(network: nn.Module) -> fx.GraphModule:
    """The network as a graph; the heat map stays one node, as it is one module."""
    from torch import fx

    from atpn_deploy.heatmap import LandmarkHeatmap

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            """PyTorch's own layers and the heat map."""
            return isinstance(m, LandmarkHeatmap) or super().is_leaf_module(
                m, module_qualified_name
            )

    return fx.GraphModule(network, Tracer().trace(network))


def _kind_of(layer: nn.Module) -> str:
    """The kind of a module's one operation; empty for Identity."""
    from torch import nn

    from atpn_deploy.heatmap import LandmarkHeatmap

    kinds: dict[type[nn.Module], str] = {
        nn.Conv2d: "conv",
        nn.ConvTranspose2d: "deconv",
        nn.Linear: "linear",
        nn.ReLU: "relu",
        nn.Hardswish: "hard_swish",
        nn.Hardsigmoid: "hard_sigmoid",
        LandmarkHeatmap: "heat",
    }
    return kinds.get(type(layer), "")


def _arrays(outputs: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    return {name: tensor.numpy() for name, tensor in outputs.items()}
