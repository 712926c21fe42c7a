"""A file cut into layers: between two tensors whose values the reference has, what lies between."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from atpn_deploy.contract import IMAGE
from atpn_exporters.bisect.dissection import Dissection, Operator
from atpn_exporters.bisect.matching import match
from atpn_exporters.bisect.reference import Node


@dataclass(frozen=True)
class Layer:
    """The operators of a file that lead to one value of the reference."""

    name: str  # of the PyTorch module
    node: str  # the reference's value that it computes
    merged: tuple[str, ...]  # all modules that it computes, in order
    operators: tuple[int, ...]  # positions in the file
    labels: tuple[str, ...]  # what the format calls them
    computing: tuple[str, ...]  # of these, the ones that do more than store a value differently
    inputs: Mapping[str, str]  # tensor to the node whose value it holds
    output: str  # the tensor, integer where the file rounds the value for its readers


def cut(
    nodes: Sequence[Node],
    outputs: Mapping[str, str],
    file: Dissection,
    passed_over: Collection[str] = (),
) -> tuple[Layer, ...]:
    """Every layer whose value the file has, in the reference's order, then what leads to outputs.

    `outputs` are the reference's, contract name to node. No layer ends at the nodes that are
    `passed_over`: they become part of the layers behind them.
    """
    found = match(nodes, file)
    tensors = _Tensors(file, {n: tensor for n, tensor in found.items() if n not in passed_over})
    layers = [
        _layer(nodes, tensors, node, tensors.output(node.name))
        for node in nodes
        if node.name in tensors.found
    ]
    for node in nodes:
        for name, source in outputs.items():
            tensor = file.outputs.get(name)
            if source == node.name and tensor is not None and tensor not in tensors.node_of:
                layers.append(_layer(nodes, tensors, node, tensor))
    return tuple(layers)


class _Tensors:
    """Where the values of the reference lie in a file."""

    def __init__(self, file: Dissection, found: Mapping[str, str]) -> None:
        self.file = file
        self.found = found
        self.makers = {
            tensor: position
            for position, operator in enumerate(file.operators)
            for tensor in operator.outputs
        }
        self.node_of = {tensor: node for node, tensor in found.items()}
        for operator in file.operators:  # a cast tensor holds the same value
            if operator.kind == "cast" and operator.inputs[0] in self.node_of:
                for tensor in operator.outputs:
                    self.node_of.setdefault(tensor, self.node_of[operator.inputs[0]])
        # Not so the image: how a file takes it is the first layer's doing.
        self.node_of[file.image] = IMAGE.name

    def output(self, node: str) -> str:
        """The tensor in which most readers get a node's value."""
        held = [tensor for tensor, other in self.node_of.items() if other == node]
        return next((t for t in held if self.file.storage(t).quantised), self.found[node])

    def ends_at(self, tensor: str, node: str) -> bool:
        """Whether the layer of `node` begins behind this tensor.

        A float copy of an integer tensor is looked through: the layer is fed what is stored.
        """
        if self.node_of.get(tensor, node) == node:
            return False
        if tensor not in self.makers:
            return True
        maker = self.file.operators[self.makers[tensor]]
        restored = maker.kind == "cast" and self.file.storage(maker.inputs[0]).quantised
        return not (restored and maker.inputs[0] in self.node_of)


def _layer(nodes: Sequence[Node], tensors: _Tensors, node: Node, output: str) -> Layer:
    """Walk back from a tensor to those of other nodes.

    An output behind the node's own tensor (a reshape that nothing else reads) begins there.
    """
    behind = output not in tensors.node_of
    inputs: dict[str, str] = {}
    positions: set[int] = set()
    waiting = [output]
    while waiting:
        tensor = waiting.pop()
        if tensor != output and tensors.ends_at(tensor, "" if behind else node.name):
            inputs[tensor] = tensors.node_of[tensor]
        elif tensors.makers[tensor] not in positions:
            positions.add(tensors.makers[tensor])
            waiting += tensors.file.operators[tensors.makers[tensor]].inputs
    ordered = tuple(sorted(positions))
    operators = [tensors.file.operators[position] for position in ordered]
    merged = [node] if behind else _merged(nodes, node, tensors.found)
    return Layer(
        _name(nodes, node, merged),
        node.name,
        tuple(dict.fromkeys(part.module for part in merged if part.module)),
        ordered,
        tuple(_label(operator) for operator in operators),
        tuple(_label(operator) for operator in operators if operator.kind != "cast"),
        inputs,
        output,
    )


def _label(operator: Operator) -> str:
    return f"{operator.label}+{operator.fused}" if "relu" in operator.fused else operator.label


def _merged(nodes: Sequence[Node], node: Node, found: Mapping[str, str]) -> list[Node]:
    """The node and those before it that have no tensor of their own, in the reference's order."""
    by_name = {other.name: other for other in nodes}
    names = {node.name}
    waiting = list(node.inputs)
    while waiting:
        current = by_name[waiting.pop()]
        if current.name not in found and current.inputs:
            names.add(current.name)
            waiting += current.inputs
    return [other for other in nodes if other.name in names]


def _name(nodes: Sequence[Node], node: Node, merged: Sequence[Node]) -> str:
    """The module with weights among those computed, else of what comes first, else the nearest.

    Of an addition and the activation behind it the addition is what can be wrong.
    """
    weighted = [part.module for part in merged if part.weights]
    if weighted:
        return weighted[-1]
    by_name = {other.name: other for other in nodes}
    current = next((part for part in merged if part.kind), node)
    while not current.module and current.inputs:
        current = by_name[current.inputs[0]]
    return current.module
