"""What changed about a file beside its time: its bytes, its graph, its drift, its appetite."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atpn_benchmarks.arm.counts import MOST_SPREAD
from atpn_benchmarks.results import Row

Value = float | int | str | None

#: Figures that were measured once have no interval; less than this share is not told, for so much
#: they move by themselves.
ONCE = 0.25


@dataclass(frozen=True)
class FactChange:
    """One fact of a file that is not what it was."""

    name: str  # of the row
    what: str  # "size", "drift of landmarks, mean over faces", "CONV_2D operators"
    old: Value
    new: Value
    unit: str = ""  # bytes, s, px, ...; "" for counts and words
    once: bool = False  # measured once in each run, so that there is no interval


def fact_changes(old: Row, new: Row) -> list[FactChange]:
    """Every fact that differs, in the order of a row's fields."""
    found = [
        FactChange(new.name, what, before, after, unit)
        for what, before, after, unit in _exact(old, new)
        if not _equal(before, after)
    ]
    return found + [
        FactChange(new.name, what, before, after, unit, once=True)
        for what, before, after, unit in _once(old, new)
        if before and after and abs(math.log(after / before)) > math.log(1 + ONCE)
    ]


def _equal(before: Value, after: Value) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after) or (math.isnan(before) and math.isnan(after))
    return before == after


def _exact(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    """Facts that don't change by themselves: what it is, old, new, unit."""
    yield "state", _state(old), _state(new), ""
    if old.sha256 and new.sha256:
        yield "sha256", old.sha256[:12], new.sha256[:12], ""
        yield "size", old.size_bytes, new.size_bytes, "bytes"
    if old.runtime and new.runtime:
        yield "runtime", old.runtime, new.runtime, ""
        yield "kernels", old.kernel_family, new.kernel_family, ""
    yield from _drift(old, new)
    yield from _delegation(old, new)
    yield from _cost(old, new)
    yield from _operators(old, new)
    yield from _instructions(old, new)


def _state(row: Row) -> str:
    return f"{row.state}: {row.reason}" if row.reason else row.state


def _drift(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    """Drifts that both runs measured."""
    before = {(d.output, d.statistic, d.scope, d.unit): d.error for d in old.drift}
    for drift in new.drift:
        key = (drift.output, drift.statistic, drift.scope, drift.unit)
        if key in before:
            what = f"drift of {drift.output}, {drift.statistic} over {drift.scope}"
            yield what, before[key], drift.error, drift.unit


def _delegation(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    if old.delegation is None or new.delegation is None:
        return
    yield "partitions", old.delegation.partitions, new.delegation.partitions, ""
    yield "operators of the graph", old.delegation.operators, new.delegation.operators, ""
    yield "TRANSPOSE", old.delegation.transposes, new.delegation.transposes, ""
    yield from _counts("undelegated", old.delegation.undelegated, new.delegation.undelegated)


def _cost(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    if old.cost is None or new.cost is None:
        return
    yield "parameters", old.cost.parameters, new.cost.parameters, ""
    yield "multiply-adds", old.cost.macs, new.cost.macs, ""
    yield "multiply-adds in int8", old.cost.int8_macs, new.cost.int8_macs, ""
    yield "weights", old.cost.weight_bytes, new.cost.weight_bytes, "bytes"
    yield "activations", old.cost.activation_bytes, new.cost.activation_bytes, "bytes"
    yield "bytes moved", old.cost.moved_bytes, new.cost.moved_bytes, "bytes"


def _operators(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    """How many operators of each kind the runtime ran, where both runs profiled it."""
    if old.operators and new.operators:
        yield from _counts(
            "operators",
            Counter(operator.kind for operator in old.operators),
            Counter(operator.kind for operator in new.operators),
        )


def _instructions(old: Row, new: Row) -> Iterator[tuple[str, Value, Value, str]]:
    """Counts on one emulated core that differ by more than two of one run may."""
    if not old.instructions or not new.instructions:
        return
    before, after = old.instructions, new.instructions
    yield "emulated core", before.core, after.core, ""
    if before.core != after.core:
        return
    counts = {"instructions": (before.instructions, after.instructions)}
    for kind in sorted({*before.by_class, *after.by_class}):
        counts[f"instructions: {kind}"] = (
            before.by_class.get(kind, 0),
            after.by_class.get(kind, 0),
        )
    for what, (then, now) in counts.items():
        if abs(now - then) > MOST_SPREAD * after.instructions:
            yield what, then, now, ""


def _counts(
    what: str, old: Mapping[str, int], new: Mapping[str, int]
) -> Iterator[tuple[str, Value, Value, str]]:
    for kind in sorted({*old, *new}):
        yield f"{what}: {kind}", old.get(kind, 0), new.get(kind, 0), ""


def _once(old: Row, new: Row) -> Iterator[tuple[str, float, float, str]]:
    """Figures of which each run has one."""
    for after in new.timings:
        before = old.timing(after.threads)
        if before is None:
            continue
        on = "" if after.threads == 1 else f" on {after.threads} threads"
        yield f"load{on}", before.load_s, after.load_s, "s"
        yield f"first inference{on}", before.first_s, after.first_s, "s"
        yield f"peak memory{on}", before.peak_memory_bytes, after.peak_memory_bytes, "bytes"
