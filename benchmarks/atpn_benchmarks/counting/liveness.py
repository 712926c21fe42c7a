"""How much memory activations take: which tensors are alive at once in a graph's own order."""

from __future__ import annotations

from collections import Counter

from atpn_benchmarks.counting.operators import CountedGraph


def alive_bytes(graph: CountedGraph) -> tuple[int, ...]:
    """The bytes of all tensors that must exist while each operator runs.

    A tensor lives from the operator that writes it to the last that reads it; an input of the
    graph from the start, an output to the end. A view is the tensor that it shows. Nothing is
    computed in place: a runtime that does so needs less, one that pads or packs needs more.
    Tensors of unknown size count 0.
    """
    shown: dict[str, str] = {}  # view to the tensor that holds its bytes

    def holder(name: str) -> str:
        return shown.get(name, name)

    for operator in graph.operators:
        if operator.view and operator.inputs:
            for tensor in operator.outputs:
                shown[tensor.name] = holder(operator.inputs[0].name)
    last = len(graph.operators) - 1
    sizes = {tensor.name: tensor.size_bytes or 0 for tensor in graph.inputs}
    births = dict.fromkeys(sizes, 0)
    deaths: dict[str, int] = dict.fromkeys(sizes, 0)
    for position, operator in enumerate(graph.operators):
        for tensor in operator.inputs:
            deaths[holder(tensor.name)] = position
        for tensor in operator.outputs:
            if tensor.name not in shown:
                sizes[tensor.name] = tensor.size_bytes or 0
                births[tensor.name] = deaths[tensor.name] = position
    for name in graph.outputs:
        deaths[holder(name)] = last
    changes: Counter[int] = Counter()
    for name, birth in births.items():
        changes[birth] += sizes[name]
        changes[deaths[name] + 1] -= sizes[name]
    alive, total = [], 0
    for position in range(len(graph.operators)):
        total += changes[position]
        alive.append(total)
    return tuple(alive)


def peak_bytes(graph: CountedGraph) -> int:
    """The largest sum of tensors that are alive at once; 0 for a graph without operators."""
    return max(alive_bytes(graph), default=0)
