"""Milliseconds on a board, estimated: never measured, and always said to be so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from atpn_benchmarks.arm.boards import Board
from atpn_benchmarks.arm.mca import Cycles
from atpn_benchmarks.arm.validation import Fit, fits

#: The runtime whose published latencies the factors are fitted to.
FITTED_TO = "ncnn"

EXTRAPOLATED = (
    f"estimated; the factor is fitted to {FITTED_TO}, no one-thread latency of this runtime on "
    "this core was found published"
)
INTERPOLATED = f"estimated; the factor is fitted to published latencies of {FITTED_TO}"


@dataclass(frozen=True)
class Estimate:
    """One file on one thread of one board."""

    board: Board
    milliseconds: float
    #: The band: where the published latency lay of every network when its own was left out.
    low: float
    high: float
    alpha: float  # milliseconds = alpha * cycles / frequency
    note: str  # what it rests on, in a sentence

    @property
    def text(self) -> str:
        """In one line for people."""
        return (
            f"estimated {figures(self.milliseconds)} ms ({figures(self.low)}-{figures(self.high)})"
        )


def estimate(cycles: Cycles, runtime: str = "") -> tuple[Estimate, ...]:
    """On each board with the core that was emulated; none for a core without a published table.

    `runtime` is the one that ran the file; the factors are fitted to ncnn.
    """
    note = INTERPOLATED if runtime.lower().startswith(FITTED_TO) else EXTRAPOLATED
    return tuple(_on(fit, cycles, note) for fit in fits() if fit.board.core == cycles.core)


def _on(fit: Fit, cycles: Cycles, note: str) -> Estimate:
    milliseconds = fit.alpha * cycles.cycles / fit.board.gigahertz / 1e6
    low, high = fit.band
    return Estimate(
        fit.board, milliseconds, milliseconds * low, milliseconds * high, fit.alpha, note
    )


def figures(milliseconds: float) -> str:
    """Two significant digits below 100 and none behind the point above: more would be a lie."""
    if milliseconds >= 10:
        return f"{milliseconds:.0f}"
    return f"{milliseconds:.1f}" if milliseconds >= 1 else f"{milliseconds:.2f}"


def estimates_table(files: Mapping[str, Sequence[Estimate]]) -> Table:
    """A row a file and board; `files` from name to its estimates on any cores."""
    table = Table(
        title="estimated, never measured: one thread",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in ("file", "board", "core", "estimated ms", "band"):
        table.add_column(column, justify="right" if column in ("estimated ms", "band") else "left")
    for name, estimates in files.items():
        for place, one in enumerate(estimates):
            table.add_row(
                "" if place else name,
                one.board.title,
                one.board.core,
                figures(one.milliseconds),
                f"{figures(one.low)}-{figures(one.high)}",
                end_section=one is estimates[-1],
            )
    return table


def estimates_markdown(files: Mapping[str, Sequence[Estimate]]) -> str:
    """The same as a table of Markdown."""
    boards = shown_boards(files)
    lines = [
        "| estimated ms, one thread (band) | "
        + " | ".join(f"{b.title}, {b.core} {b.gigahertz:g} GHz" for b in boards)
        + " |",
        "|---|" + "---:|" * len(boards),
    ]
    for name, estimates in files.items():
        cells = " | ".join(_cell(board, estimates) for board in boards)
        lines.append(f"| `{name}` | {cells} |")
    return "\n".join(lines) + "\n"


def shown_boards(files: Mapping[str, Sequence[Estimate]]) -> tuple[Board, ...]:
    """The boards that any file was estimated for, in the order of `BOARDS`."""
    named = {one.board.name for estimates in files.values() for one in estimates}
    return tuple(fit.board for fit in fits() if fit.board.name in named)


def _cell(board: Board, estimates: Sequence[Estimate]) -> str:
    for one in estimates:
        if one.board == board:
            return f"{figures(one.milliseconds)} ({figures(one.low)}-{figures(one.high)})"
    return ""
