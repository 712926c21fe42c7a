"""Which tensor of a file is which value of the reference.

A value is found by what computes it (its kind), by the name that the file gives to it, and by the
values that it is computed from. What a converter has merged or added needs no rule of its own: a
value without a tensor, and an operator without a value, are looked through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from atpn_deploy.contract import IMAGE
from atpn_exporters.bisect.dissection import Dissection, Operator
from atpn_exporters.bisect.reference import Node

#: Kind of a reference value to the kinds of operators that can compute it as their last step.
FITTING = {
    "conv": ("conv",),
    "deconv": ("deconv",),
    "linear": ("linear", "conv"),
    "relu": ("relu",),
    "hard_swish": ("hard_swish", "mul"),  # x * hard_sigmoid(x)
    "hard_sigmoid": ("hard_sigmoid", "mul"),  # clip(x + 3, 0, 6) * (1 / 6)
    "add": ("add",),
    "mul": ("mul",),
    "concat": ("concat",),
    "mean": ("mean",),
    "tanh": ("tanh",),
    "sigmoid": ("sigmoid",),
    "heat": ("maximum",),  # its lower bound comes last
}


def match(nodes: Sequence[Node], file: Dissection) -> dict[str, str]:
    """Reference node to the tensor in which the file first has its value.

    A node that the file merged into a later one is absent.
    """
    found: dict[str, str] = {}
    free = dict(enumerate(file.operators))
    for node in nodes:
        if not node.kind:
            continue
        sources = _sources(nodes, found)
        before = _union(sources[name] for name in node.inputs)
        chain = _merged(nodes, node, found)
        merged = frozenset(part.module for part in chain)
        reached = _reached(file, found)
        position = _choose(file, node, chain, before, free, reached)
        if position is not None:
            found[node.name] = free.pop(position).outputs[0]
        elif layer := _with_bias(nodes, node, merged, before, free, reached):
            found[node.name] = found.pop(layer)
    return found


def _with_bias(
    nodes: Sequence[Node],
    node: Node,
    merged: frozenset[str],
    before: frozenset[str],
    free: Mapping[int, Operator],
    reached: Mapping[str, frozenset[str]],
) -> str:
    """The linear layer whose bias holds what `node` adds to its result, or nothing.

    Converters put the mean shape, which is added to the landmarks' layer, into its bias.
    """
    if node.kind != "add" or len(node.inputs) != 1 or len(before) != 1:
        return ""
    added = any(
        operator.kind == "add"
        and (not operator.modules or operator.modules & merged)
        and _union(reached[tensor] for tensor in operator.inputs) == before
        for operator in free.values()
    )
    [layer] = (other for other in nodes if other.name in before)
    return layer.name if layer.kind == "linear" and not added else ""


def _choose(
    file: Dissection,
    node: Node,
    chain: Sequence[Node],
    before: frozenset[str],
    free: Mapping[int, Operator],
    reached: Mapping[str, frozenset[str]],
) -> int | None:
    """The position of the operator that computes `node`, or None.

    One that reads the right values and is named rightly or not at all is taken first. Then comes
    one that is named rightly and reads other values, or reads the right ones and is of another
    kind: a wrong wire or a lost activation, which may be the fault looked for.
    """
    merged = frozenset(part.module for part in chain)
    by_name: int | None = None
    for position, operator in free.items():
        fits = _computes(operator, node)
        right = _union(reached[tensor] for tensor in operator.inputs) == before
        if fits and right and (operator.modules & merged or not operator.modules):
            return position
        if by_name is None and node.module in operator.modules:
            other = operator.result not in FITTING[node.kind] and operator.kind != "cast"
            size = math.prod(file.storage(operator.outputs[0]).shape)
            if fits or (right and other and size == node.size):
                by_name = position
    return by_name


def _computes(operator: Operator, node: Node) -> bool:
    """Whether an operator can be what computes the node's value."""
    if operator.result not in FITTING[node.kind]:
        return False
    if operator.weights and node.weights and not operator.fused:
        # Two layers of equal kind that read one tensor differ in their number of weights.
        return operator.weights == node.weights and operator.biased >= node.biased
    return True


def _merged(nodes: Sequence[Node], node: Node, found: Mapping[str, str]) -> list[Node]:
    """The node and those before it that the file has no tensor for, down to ones that it has."""
    by_name = {other.name: other for other in nodes}
    chain = [node]
    waiting = list(node.inputs)
    while waiting:
        current = by_name[waiting.pop()]
        if current.name not in found:
            chain.append(current)
            waiting += current.inputs
    return chain


def _sources(nodes: Sequence[Node], found: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """For each node the found nodes that it is computed from; a found one stands for itself."""
    sources: dict[str, frozenset[str]] = {}
    for node in nodes:
        own = node.name in found or not node.inputs
        sources[node.name] = (
            frozenset((node.name,)) if own else _union(sources[name] for name in node.inputs)
        )
    return sources


def _reached(file: Dissection, found: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """For each tensor the found nodes that it is computed from, as `_sources` has it for nodes."""
    node_of = {tensor: node for node, tensor in found.items()}
    reached = {file.image: frozenset((IMAGE.name,))}
    for operator in file.operators:
        before = _union(reached[tensor] for tensor in operator.inputs)
        for tensor in operator.outputs:
            reached[tensor] = frozenset((node_of[tensor],)) if tensor in node_of else before
    return reached


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
