"""The paper's totals beside ours: tables 2 and 5, and whether a network keeps to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atpn_benchmarks.counting.network import ALIGNMENT, TRACKING, Branch, NetworkCount
from atpn_deploy.evaluation.cells import Cell, Column, Row, Table
from atpn_deploy.evaluation.paper import TABLE_2, TABLE_5, CostRow

#: How far ours may be from the paper's totals: it gives two digits, and no widths.
TOLERANCE = 0.02
COLUMNS = (Column("parameters (M) ↓"), Column("multiply-adds (G) ↓"))
SOURCE = (
    'Rows that are not marked as counted are quoted from "Alignment & Tracking & Pose Network", '
    "which calls multiply-adds FLOPS."
)


@dataclass(frozen=True)
class Target:
    """What the paper gives for a branch."""

    branch: Branch
    parameters: float
    macs: float

    def distance(self, network: NetworkCount) -> tuple[float, float]:
        """How far ours are above the paper's, of the paper's: parameters, multiply-adds."""
        ours = network.branch(self.branch)
        return ours.parameters / self.parameters - 1, ours.macs / self.macs - 1

    def kept_by(self, network: NetworkCount) -> bool:
        """Whether both totals are within TOLERANCE of the paper's."""
        return all(abs(share) <= TOLERANCE for share in self.distance(network))


def _target(branch: Branch, row: CostRow) -> Target:
    return Target(branch, row.parameters_m * 1e6, row.flops_g[0] * 1e9)


TARGETS = (_target(ALIGNMENT, TABLE_2[-1]), _target(TRACKING, TABLE_5[-1]))


def table_2(networks: Sequence[NetworkCount]) -> Table:
    """Backbone and alignment branch beside other networks for landmarks."""
    return _table("Table 2: networks for face alignment", TABLE_2, ALIGNMENT, networks)


def table_5(networks: Sequence[NetworkCount]) -> Table:
    """The tracking branch beside a face detector."""
    return _table("Table 5: what finds the face in the next frame", TABLE_5, TRACKING, networks)


def _table(
    title: str, printed: Sequence[CostRow], branch: Branch, networks: Sequence[NetworkCount]
) -> Table:
    rows = [_printed(row) for row in printed]
    for network in networks:
        ours = network.branch(branch)
        cells = (Cell(f"{ours.parameters / 1e6:.3f}"), Cell(f"{ours.macs / 1e9:.4f}"))
        rows.append(Row(f"{network.name} ({branch.name}), counted", cells, "ours"))
    return Table(title, "method", COLUMNS, tuple(rows), (SOURCE,))


def _printed(row: CostRow) -> Row:
    """A row of the paper with as many digits as it gives."""
    about = "about " if row.approximate else ""
    low, high = row.flops_g
    flops = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return Row(row.method, (Cell(f"{about}{row.parameters_m:g}"), Cell(f"{about}{flops}")), "paper")
