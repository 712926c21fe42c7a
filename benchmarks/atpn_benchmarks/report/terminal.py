"""A run as rich tables for people at a terminal, 80 columns wide or more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.report.choice import Pick, picks
from atpn_benchmarks.report.digits import megabytes, milliseconds, pixels
from atpn_benchmarks.report.file_sheets import files_sheet, threads_sheet
from atpn_benchmarks.report.ratio_sheets import peers_sheet
from atpn_benchmarks.report.ratios import ratio_table
from atpn_benchmarks.report.sheet import Cell, Sheet
from atpn_benchmarks.report.standing import (
    absences,
    distinct,
    first_threads,
    flaws,
    standings,
)
from atpn_benchmarks.results import Run
from atpn_exporters.tables import plural

#: Columns of the table of files: what matters, and what stands beside it or, where a terminal has
#: no room, in a second table.
MAIN = ("file", "size", "p50", "interval", "p95", "drift", "state")
MORE = ("cpu", "load", "first", "memory", "roof")
#: Width that takes both, in characters.
WIDE = 124
STYLES = {"good": "green", "bad": "red", "warn": "yellow", "muted": "dim", "": ""}


@dataclass(frozen=True)
class _Tables:
    """All tables of a run; how wide it may be is known when it is printed."""

    run: Run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(_heading(self.run), style="bold")
        chosen = picks(standings(self.run))
        yield from map(_pick_line, chosen)
        yield from self._files(options.max_width)
        peers = peers_sheet(ratio_table(self.run), chosen)
        if peers is not None:
            yield _table(peers, notes=True)
        yield from _remarks(self.run)

    def _files(self, width: int) -> Iterator[Table]:
        files = files_sheet(self.run)
        more, threads = files.only(*MORE), threads_sheet(self.run)
        if threads is not None:
            medians = (head.key for head in threads.heads if head.unit == "ms")
            more = more.beside(threads.only(*list(medians)[1:]))
        if not files.rows:
            return
        if width >= WIDE:
            yield _table(files.only(*MAIN).beside(more))
        else:
            yield _table(files.only(*MAIN))
            yield _table(files.only("file").beside(more))


def terminal_tables(run: Run) -> RenderableType:
    """What to take, a row a file, ratios to peers, and what has no figure, with the reasons."""
    return _Tables(distinct(run))


def _heading(run: Run) -> str:
    machine = run.machine
    known = ", ".join(filter(None, (machine.cpu, machine.architecture)))
    return f"{run.device}: {known or 'unknown machine'}, {plural(first_threads(run), 'thread')}"


def _pick_line(pick: Pick) -> Text:
    best = pick.chosen
    return Text.assemble(
        "take ",
        (best.row.name, "bold green"),
        f": {milliseconds(best.summary.p50_s)} ms, {megabytes(best.row.size_bytes)} MB, "
        f"{pixels(best.drift_px)} px ({pick.why})",
    )


def _table(sheet: Sheet, *, notes: bool = False) -> Table:
    """A sheet; `notes` puts what stands beneath a figure behind it."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
    for head in sheet.heads:
        table.add_column(
            Text(f"{head.text}\n{head.unit}" if head.unit else head.text),
            justify="right" if head.numeric else "left",
            overflow="fold",
            no_wrap=head.numeric and not notes,
        )
    for row in sheet.rows:
        table.add_row(*(_text(cell, notes) for cell in row))
    return table


def _text(cell: Cell, notes: bool) -> Text:
    text = f"{cell.plain} ({cell.note})" if notes and cell.note else cell.plain
    return Text(" ".join(text.split()), style=STYLES[cell.tone])


def _remarks(run: Run) -> Iterator[RenderableType]:
    """Why figures do not hold or do not exist, a line each, then what else went wrong."""
    for complaint in (*flaws(run), *absences(run)):
        yield _remark(complaint.told)
    for problem in run.problems:
        yield _remark(problem)


def _remark(text: str) -> RenderableType:
    return Padding(Text(" ".join(text.split()), style="yellow"), (0, 0, 0, 2))
