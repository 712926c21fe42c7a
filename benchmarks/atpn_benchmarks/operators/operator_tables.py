"""Operator profiles as rich tables for people and plain values for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.operators.operator_profile import (
    GroupTime,
    OperatorProfile,
    by_kind,
    by_module,
)
from atpn_benchmarks.results import Delegation, OperatorTime
from atpn_exporters.tables import counted, plural

#: Modules and operators that are shown; the JSON holds all of them.
SHOWN = 20
#: A sum further than this from the whole run says so in colour.
CLOSE = 0.1


def slowest(operators: tuple[OperatorTime, ...]) -> tuple[OperatorTime, ...]:
    """Operators by their time, the slowest first."""
    return tuple(sorted(operators, key=lambda operator: -operator.median_s))


#: What a row of a table can be, and how the operators become such rows.
WAYS: Mapping[str, Callable[[tuple[OperatorTime, ...]], Sequence[GroupTime | OperatorTime]]] = {
    "module": by_module,
    "kind": by_kind,
    "operator": slowest,
}


def profile_table(profile: OperatorProfile, by: str, shown: int = SHOWN) -> RenderableType:
    """The slowest rows of a file, each a module, kind or operator, then what the sum leaves out."""
    title = f"{profile.file} on {profile.runtime}, {profile.kernels} kernels"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rows = WAYS[by](profile.operators)
    cells = [_cells(row, profile.sum_s) for row in rows[:shown]]
    # What is too long for the terminal is cut from the operators' kinds.
    table.add_column(f"{by}, {'kind' if by == 'operator' else 'operators'}")
    for place, heading in enumerate(("us", "share", "MMAC", "GMAC/s"), 1):
        width = max(len(str(text)) for text in (heading, *(row[place] for row in cells)))
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for row in cells:
        table.add_row(*row)
    lines = [_total(profile)]
    if profile.delegation is not None:
        lines.append(Text(delegation_line(profile.delegation)))
    if len(rows) > shown:
        lines.append(Text(f"{plural(len(rows) - shown, 'more row')} in --json", style="dim"))
    lines.append(Text(f"{plural(profile.runs, 'profiled run')}; {profile.how}", style="dim"))
    return Group(table, *lines)


def delegation_line(delegation: Delegation) -> str:
    """What XNNPACK takes: `1 XNNPACK partition, every operator of 154 inside, 0 TRANSPOSE`."""
    outside = counted(delegation.undelegated)
    inside = (
        f"outside of it: {outside}" if outside else f"all {delegation.operators} operators inside"
    )
    partitions = plural(delegation.partitions, "XNNPACK partition")
    return f"{partitions}, {inside}, {plural(delegation.transposes, 'transpose')}"


def profile_values(profile: OperatorProfile) -> dict[str, Any]:
    """A profile as plain values, its sums and its modules with it."""
    return {
        **asdict(profile),
        "sum_s": profile.sum_s,
        "sum_to_whole": profile.sum_to_whole,
        "modules": [asdict(module) for module in by_module(profile.operators)],
    }


def rate(macs: int, seconds: float) -> float:
    """Multiply-adds a second; 0 where there are none."""
    return macs / seconds if macs and seconds else 0.0


def _cells(row: GroupTime | OperatorTime, total_s: float) -> list[str | Text]:
    speed = rate(row.macs, row.median_s)
    if isinstance(row, GroupTime):
        name, more = row.name or "the network as a whole", str(row.operators)
    else:
        name, more = row.name, row.kind
    return [
        Text.assemble(name, (f"  {more}", "dim"), no_wrap=True, overflow="ellipsis"),
        f"{row.median_s * 1e6:.1f}",
        f"{row.median_s / total_s:.1%}" if total_s else "",
        f"{row.macs / 1e6:.2f}" if row.macs else "",
        f"{speed / 1e9:.1f}" if speed else "",
    ]


def _total(profile: OperatorProfile) -> Text:
    """The sum of the operators beside the whole run, whatever lies between them."""
    difference_s = profile.sum_s - profile.whole_s
    each_us = abs(difference_s) / max(1, len(profile.operators)) * 1e6
    return Text(
        f"all {plural(len(profile.operators), 'operator')} {profile.sum_s * 1e6:.0f} us, "
        f"the whole run without a profiler {profile.whole_s * 1e6:.0f} us: the sum is "
        f"{profile.sum_to_whole:.1%} of it, {each_us:.1f} us "
        f"{'too much' if difference_s > 0 else 'missing'} an operator",
        style="" if abs(profile.sum_to_whole - 1) <= CLOSE else "yellow",
    )
