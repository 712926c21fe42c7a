"""Counts as rich tables for people and plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.counting.module_sums import by_module
from atpn_benchmarks.counting.network import BRANCHES, NetworkCount
from atpn_benchmarks.counting.operators import CountedGraph, cost
from atpn_benchmarks.counting.published import TARGETS, Target
from atpn_benchmarks.results import Cost
from atpn_exporters.tables import counted

#: Characters that a table's first column gets at least.
FIRST_WIDTH = 26


@dataclass(frozen=True)
class FileCount:
    """One signature of a file."""

    path: Path
    graph: CountedGraph

    @property
    def cost(self) -> Cost:
        """The sums over its operators."""
        return cost(self.graph)


def network_table(network: NetworkCount, depth: int) -> RenderableType:
    """The branches against the paper's totals, the tree, and what fvcore does not know."""
    return Group(
        _branch_table(network),
        _tree(network, depth),
        Text(f"without multiply-adds, not known to fvcore: {_listed(network.unknown)}", "dim"),
        Text(f"PyTorch, operator by operator: {_sentence(network.cost)}", "dim"),
    )


def _branch_table(network: NetworkCount) -> Table:
    table = _table(network.name, "branch", "parameters", "MMAC", "the paper", "ours is")
    targets = {target.branch: target for target in TARGETS}
    for branch in BRANCHES:
        ours, target = network.branch(branch), targets.get(branch)
        table.add_row(
            branch.name,
            f"{ours.parameters:,}",
            f"{ours.macs / 1e6:.3f}",
            *_against(target, network),
        )
    return table


def _against(target: Target | None, network: NetworkCount) -> tuple[str, Text]:
    """The paper's totals and how far ours are from them, green where close enough."""
    if target is None:
        return "-", Text("")
    totals = f"{target.parameters / 1e6:g} M, {target.macs / 1e9:g} G"
    parameters, macs = target.distance(network)
    style = "green" if target.kept_by(network) else "yellow"
    return totals, Text(f"{parameters:+.1%}, {macs:+.1%}", style)


def _tree(network: NetworkCount, depth: int) -> Table:
    table = _table("", "module", "parameters", "multiply-adds", "share")
    whole = max(1, network.module("").macs)
    for module in network.down_to(depth):
        name = module.path.rpartition(".")[2] or network.name
        table.add_row(
            Text("  " * module.depth + name),
            f"{module.parameters:,}",
            f"{module.macs:,}",
            f"{module.macs / whole:.1%}",
        )
    return table


def file_table(files: Sequence[FileCount]) -> RenderableType:
    """One line a file, then what could not be counted in which."""
    table = _table("", "file", "param.", "MMAC", "int8", "weights", "alive", "moved", "MAC/B")
    notes = []
    for file in files:
        found = file.cost
        share = found.int8_macs / found.macs if found.macs else 0.0
        table.add_row(
            file.path.name,
            f"{found.parameters / 1e6:.3f} M",
            f"{found.macs / 1e6:.1f}",
            f"{share:.0%}",
            _kib(found.weight_bytes),
            _kib(found.activation_bytes),
            _kib(found.moved_bytes),
            f"{found.intensity:.1f}",
        )
        if found.uncounted:
            notes.append(f"{file.path.name}: not counted: {_listed(found.uncounted)}")
    legend = "weights: KiB in the file; alive: most KiB of tensors at once; moved: KiB an inference"
    return Group(table, Text(legend, "dim"), *(Text(note, "yellow") for note in notes))


def module_table(file: FileCount, depth: int) -> Table:
    """What the operators of each module cost together."""
    table = _table(
        file.path.name, "module", "ops", "parameters", "MMAC", "int8", "KiB moved", "MAC/B"
    )
    for row in by_module(file.graph.operators, depth):
        table.add_row(
            row.module or "(the network)",
            str(row.operators),
            f"{row.parameters:,}",
            f"{row.macs / 1e6:.2f}",
            f"{row.int8_macs / row.macs:.0%}" if row.macs else "-",
            _kib(row.moved_bytes),
            f"{row.intensity:.1f}",
        )
    return table


def network_values(network: NetworkCount) -> dict[str, Any]:
    """A network's count as plain values."""
    return {
        "name": network.name,
        "branches": {
            branch.name: {
                "parameters": network.branch(branch).parameters,
                "macs": network.branch(branch).macs,
            }
            for branch in BRANCHES
        },
        "within_paper": {target.branch.name: target.kept_by(network) for target in TARGETS},
        "modules": [asdict(module) for module in network.modules],
        "unknown_to_fvcore": dict(network.unknown),
        "cost": asdict(network.cost),
    }


def file_values(file: FileCount) -> dict[str, Any]:
    """A file's sums, modules and operators as plain values."""
    return {
        "file": file.path.name,
        "cost": asdict(file.cost),
        "modules": [asdict(row) for row in by_module(file.graph.operators)],
        "operators": [
            {
                **asdict(operator),
                "parameters": operator.parameters,
                "weight_bytes": operator.weight_bytes,
                "moved_bytes": operator.moved_bytes,
            }
            for operator in file.graph.operators
        ],
    }


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold", min_width=FIRST_WIDTH)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _sentence(found: Cost) -> str:
    told = (
        f"{_kib(found.activation_bytes)} KiB of activations at once, "
        f"{_kib(found.moved_bytes)} KiB moved"
    )
    told += f", {found.intensity:.1f} multiply-adds a byte"
    return told + (f"; not counted: {_listed(found.uncounted)}" if found.uncounted else "")


def _listed(kinds: Mapping[str, int]) -> str:
    return counted(kinds) or "nothing"


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f}"
