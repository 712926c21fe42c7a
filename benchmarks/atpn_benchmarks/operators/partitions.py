"""In which order TFLite runs a graph that a delegate takes in parts."""

from __future__ import annotations

from collections.abc import Collection

from atpn_exporters.tflite_graph import Graph


def as_run(graph: Graph, alone: Collection[int]) -> list[int]:
    """Positions of the operators that the delegate takes, in the order in which they run.

    `alone` are those that it leaves to TFLite. TFLite takes turns: all operators of one kind whose
    inputs are there, then all of the other, so that an operator may run before one that stands
    earlier in the file. Operators that wait for each other in a circle never run.
    """
    waiting = list(range(len(graph.operators)))
    missing = {index for operator in graph.operators for index in operator.outputs}
    order: list[int] = []
    while True:
        turn: bool | None = None  # whose it is: that of the first operator that is ready
        left = []
        for position in waiting:
            operator = graph.operators[position]
            ready = missing.isdisjoint(operator.inputs)
            if ready and turn is None:
                turn = position in alone
            if ready and turn == (position in alone):
                missing.difference_update(operator.outputs)
                order.append(position)
            else:
                left.append(position)
        if turn is None:
            return [position for position in order if position not in alone]
        waiting = left
