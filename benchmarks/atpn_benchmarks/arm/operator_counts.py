"""Instructions by operator: the runtime's profiler reads its clock, and the emulator counts along.

The profiler notes how long each operator took between two looks at the clock; the emulator has kept
how far the program was at each. A time says nothing here but which two looks belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from atpn_benchmarks.arm.counts import OperatorCount
from atpn_benchmarks.arm.region_file import ClockReading
from atpn_deploy.errors import ArmError

#: By so much of its time an operator may seem to differ between profiler and emulator, all of them
#: together: the two look at their clocks one after the other, and others use this machine.
MOST_DIFFERENCE = 0.1

Event = Mapping[str, Any]


def matched(elapsed_us: Sequence[float], readings: Sequence[ClockReading]) -> list[int]:
    """Instructions of each operator, in the order they ran.

    Each is the span between two readings in a row; spans are chosen in order, so that their times
    differ least from what the profiler noted. Raises ArmError if they differ by too much.
    """
    spans = list(pairwise(readings))
    if len(spans) < len(elapsed_us):
        raise ArmError(
            f"the profiler noted {len(elapsed_us)} operators, and the clock was read "
            f"{len(readings)} times only"
        )
    taken_us = np.array([(end.ns - begin.ns) / 1e3 for begin, end in spans])
    cost = np.abs(np.asarray(elapsed_us)[:, None] - taken_us[None, :])  # (operators, spans)
    places = _cheapest(cost)
    off = float(sum(cost[row, place] for row, place in enumerate(places)))
    if not off <= MOST_DIFFERENCE * sum(elapsed_us):
        raise ArmError("the profiler's times can't be told apart on this machine; try again")
    return [spans[place][1].instructions - spans[place][0].instructions for place in places]


def _cheapest(cost: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """Of each row a column, all increasing, with the smallest sum."""
    rows, columns = cost.shape
    best = np.zeros(columns + 1)  # sum of the rows so far, within so many columns
    skipped = []  # by row: may the last column be left?
    for row in range(rows):
        taken = best[:-1] + cost[row]
        best = np.concatenate([[np.inf], np.minimum.accumulate(taken)])
        skipped.append(best[1:] < taken)
    places, column = [], columns - 1
    for row in reversed(range(rows)):
        while skipped[row][column]:
            column -= 1
        places.append(column)
        column -= 1
    return places[::-1]


def litert_operators(
    path: Path, signature: str | None, events: Sequence[Event], counts: Sequence[int]
) -> tuple[OperatorCount, ...]:
    """One row for each operator of a .tflite that ran, all of its events added up."""
    from atpn_benchmarks.operators.counted import Counted, counted_positions
    from atpn_benchmarks.operators.litert_times import chosen, positions, with_modules

    graph, _ = chosen(path, signature)
    owners = positions(graph, [(e["tag"], e["delegated"], e["index"]) for e in events])
    counted = with_modules(graph, counted_positions(path, signature))
    sums: dict[int, int] = {}
    for owner, count in zip(owners, counts, strict=True):
        sums[owner] = sums.get(owner, 0) + count
    return tuple(
        OperatorCount(
            name=graph.tensors[graph.operators[owner].outputs[0]].name,
            kind=graph.operators[owner].kind,
            module=counted.get(owner, Counted()).module,
            instructions=count,
            macs=counted.get(owner, Counted()).macs,
        )
        for owner, count in sums.items()
    )


def onnx_operators(
    path: Path, signature: str | None, events: Sequence[Event], counts: Sequence[int]
) -> tuple[OperatorCount, ...]:
    """One row for each node of ONNX Runtime's optimised graph."""
    from atpn_benchmarks.operators.counted import counted_names
    from atpn_benchmarks.operators.onnxruntime_times import counted_behind, filled, identity

    shown = [identity(event) for event in events]
    known = counted_names(path)
    found = [counted_behind(name, known) for name, _ in shown]
    modules = filled([entry.module for entry in found], [kind for _, kind in shown])
    return tuple(
        OperatorCount(name, kind, module, count, entry.macs)
        for (name, kind), module, entry, count in zip(shown, modules, found, counts, strict=True)
    )


Read = Callable[
    [Path, str | None, Sequence[Event], Sequence[int]],
    tuple[OperatorCount, ...],
]

#: By suffix: the key of an event's time in microseconds, and who reads the events.
READERS: dict[str, tuple[str, Read]] = {
    ".onnx": ("dur", onnx_operators),
    ".tflite": ("elapsed_us", litert_operators),
}


def operator_counts(
    path: Path, signature: str | None, events: Sequence[Event], readings: Sequence[ClockReading]
) -> tuple[OperatorCount, ...]:
    """Instructions of each operator of one inference, in the order they ran."""
    key, read = READERS[path.suffix]
    counts = matched([float(event[key]) for event in events], readings)
    return read(path, signature, events, counts)


def alone(path: Path, signature: str | None) -> bytes:
    """A file with one signature, as the profilers run it."""
    from atpn_benchmarks.operators.litert_times import chosen

    return chosen(path, signature)[1] if path.suffix == ".tflite" else path.read_bytes()
