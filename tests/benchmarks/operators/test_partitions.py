from __future__ import annotations

from atpn_benchmarks.operators.partitions import as_run
from atpn_exporters.tflite_graph import Graph, Operator


def graph(*edges: tuple[tuple[int, ...], int]) -> Graph:
    """Operators of the kind ADD that read some tensors and write one."""
    operators = tuple(Operator("ADD", False, inputs, (output,)) for inputs, output in edges)
    return Graph("full", {"image": 0}, {}, (), operators)


#: 0 -> 1 -> 2 (alone) -> 3, and a branch 0 -> 4 that stands at the end of the file.
BRANCHED = graph(((0,), 1), ((1,), 2), ((2,), 3), ((0,), 4))


def test_a_branch_that_waits_for_nothing_runs_with_the_first_partition():
    assert as_run(BRANCHED, {1}) == [0, 3, 2]


def test_one_partition_runs_in_the_order_of_the_file():
    assert as_run(BRANCHED, ()) == [0, 1, 2, 3]


def test_an_operator_that_is_left_out_can_run_first():
    assert as_run(BRANCHED, {0}) == [1, 2, 3]


def test_a_graph_in_a_circle_ends():
    assert as_run(graph(((1,), 2), ((2,), 1)), ()) == []
