"""Tables of ratios: our files against peers, and against their own float files."""

from __future__ import annotations

from atpn_benchmarks.latency import Ratio
from atpn_benchmarks.report.choice import Pick
from atpn_benchmarks.report.digits import significant, span
from atpn_benchmarks.report.file_sheets import FILE, name_cell
from atpn_benchmarks.report.ratios import RatioTable
from atpn_benchmarks.report.sheet import MISSING, Cell, Head, Sheet, Tone, figure, words

CAPTION = (
    "Time of our file over the peer's, same rounds: below 1 is less time. Beneath: 95 % interval."
)


def ratios_sheet(found: RatioTable) -> Sheet:
    """Every file of ours in a row, the peers and its own float file as columns."""
    heads = (
        FILE,
        Head(
            "float", "own float32", "x as fast", explained="the float file's time over this one's"
        ),
        *(
            Head(f"peer{n}", peer.row.title, "x", explained=peer.row.runtime)
            for n, peer in enumerate(found.peers)
        ),
    )
    rows = (
        (
            name_cell(row.file.row),
            MISSING if row.float_gain is None else gain_cell(row.float_gain),
            *(ratio_cell(each) for each in row.against),
        )
        for row in found.rows
    )
    return Sheet("ratios", "Against others in the same run", heads, tuple(rows), CAPTION)


def peers_sheet(found: RatioTable, chosen: tuple[Pick, ...], most: int = 3) -> Sheet | None:
    """The same, short: peers in rows, the files to take as columns; None without peers."""
    files = [found.row(pick.chosen.row.name) for pick in chosen[:most]]
    columns = [row for row in files if row is not None]
    if not found.peers or not columns:
        return None
    heads = (
        Head("peer", "our time over the peer's", numeric=False),
        *(Head(f"ours{n}", row.file.row.title, "x") for n, row in enumerate(columns)),
    )
    rows = (
        (words(peer.row.title), *(ratio_cell(row.against[n]) for row in columns))
        for n, peer in enumerate(found.peers)
    )
    return Sheet("peers", "Against others in the same run", heads, tuple(rows))


def ratio_cell(found: Ratio) -> Cell:
    """A ratio of times: good if it is below 1 beyond chance."""
    tone: Tone = "good" if found.high < 1 else "bad" if found.low > 1 else ""
    return figure(times(found.value), found.value, tone, note=interval(found))


def gain_cell(found: Ratio) -> Cell:
    """A gain over one's own float file: good if it is above 1 beyond chance."""
    tone: Tone = "good" if found.low > 1 else "bad" if found.high < 1 else ""
    return figure(times(found.value), found.value, tone, note=interval(found))


def times(value: float) -> str:
    """A ratio with two digits behind the point at least: "0.95", "1.79"."""
    return f"{value:.2f}" if 0.1 <= value < 100 else significant(value, 2)


def interval(found: Ratio) -> str:
    """The interval of a ratio, with as many digits."""
    if 0.1 <= found.value < 100:
        return f"{found.low:.2f}-{found.high:.2f}"
    return span(found.low, found.high, found.value)
