"""In which order TFLite runs a graph that a delegate takes in parts."""

from __future__ import annotations

from collections.abc import Collection

from atpn_exporters.tflite_graph import Graph


def as_run(graph: Graph, alone: Collection[int]) -> list[int]:
    """Positions of the operators that the delegate takes, in the order in which they run.

    `alone` are those that it leaves to TFLite. TFLite takes turns: all operators of the one kind
    whose inputs are there, then all of the other, so that an operator may run before one that
    stands earlier in the file.
    """
    waiting = list(range(len(graph.operators)))
    missing = {index for operator in graph.operators for index in operator.outputs}
    order: list[int] = []
    outside: bool | None = None
    while waiting:
        left = []
        for position in waiting:
            operator = graph.operators[position]
            ready = missing.isdisjoint(operator.inputs)
            if ready and outside is None:
                outside = position in alone
            if ready and (position in alone) == outside:
                missing.difference_update(operator.outputs)
                order.append(position)
            else:
                left.append(position)
        if len(left) == len(waiting) and outside is None:
            break  # a graph in a circle: nothing is ready, nor will be
        outside = None if len(left) == len(waiting) else not outside
        waiting = left
    return [position for position in order if position not in alone]
