"""Our files against the peers of the same run and against their own float files."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_benchmarks.latency import Ratio, ratio
from atpn_benchmarks.report.standing import Standing, first_threads, standing, standings, twin
from atpn_benchmarks.results import Run


@dataclass(frozen=True)
class RatioRow:
    """One file of ours."""

    file: Standing
    float_gain: Ratio | None  # how many times as fast as its own float32 file
    against: tuple[Ratio, ...]  # how many times as long as each peer, in the table's order


@dataclass(frozen=True)
class RatioTable:
    """Figures that hold alone, on the run's first number of threads."""

    peers: tuple[Standing, ...]
    rows: tuple[RatioRow, ...]

    def row(self, name: str) -> RatioRow | None:
        """The row of the file of that name, if there is one."""
        return next((row for row in self.rows if row.file.row.name == name), None)


def ratio_table(run: Run) -> RatioTable:
    """Every valid file of ours against every valid peer."""
    held = [each for each in standings(run) if each.holds]
    peers = tuple(each for each in held if each.row.peer)
    rows = (
        RatioRow(
            each,
            _float_gain(run, each),
            tuple(ratio(each.timing, peer.timing) for peer in peers),
        )
        for each in held
        if not each.row.peer
    )
    return RatioTable(peers, tuple(rows))


def _float_gain(run: Run, file: Standing) -> Ratio | None:
    """The float file's time over this one's; None where either has no figure that holds."""
    other = twin(run, file.row)
    found = None if other is None else standing(other, first_threads(run))
    return ratio(found.timing, file.timing) if found is not None and found.holds else None
