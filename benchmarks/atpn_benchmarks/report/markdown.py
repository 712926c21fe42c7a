"""A run as Markdown tables, for a pull request or a page of documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from atpn_benchmarks.report.file_sheets import files_sheet, threads_sheet, unmeasured_sheet
from atpn_benchmarks.report.ratio_sheets import ratios_sheet
from atpn_benchmarks.report.ratios import ratio_table
from atpn_benchmarks.report.sheet import Cell, Sheet
from atpn_benchmarks.report.standing import distinct, first_threads, flaws
from atpn_benchmarks.report.terms import moment
from atpn_benchmarks.results import Run
from atpn_exporters.tables import plural

COLUMNS = (
    *("file", "size", "p50", "interval", "p95", "cpu", "load", "first", "memory", "drift"),
    *("roof", "state"),
)
#: What Markdown or the HTML in it would read as more than a letter.
SPECIAL = re.compile(r"([\\`*_\[\]#|<>~&])")


def markdown(run: Run) -> str:
    """The machine, a row a file, threads, ratios to peers, and what has no figure that holds."""
    return "\n\n".join(_parts(distinct(run))) + "\n"


def _parts(run: Run) -> Iterator[str]:
    machine = run.machine
    known = filter(None, (machine.cpu, machine.architecture, machine.system))
    yield escaped(
        f"{', '.join(known) or 'unknown machine'}; device {run.device}, "
        f"{plural(first_threads(run), 'thread')}, {moment(run.started_at)}, "
        f"atpn-deploy {run.version}"
    )
    yield table(files_sheet(run).only(*COLUMNS))
    complaints = flaws(run)
    if complaints:
        yield "\n".join(f"- {escaped(each.told)}" for each in complaints)
    threads = threads_sheet(run)
    if threads is not None and threads.rows:
        yield table(threads)
    ratios = ratio_table(run)
    if ratios.peers and ratios.rows:
        sheet = ratios_sheet(ratios)
        yield table(sheet, notes=True)
        yield escaped("Time of our file over the peer's: below 1 is less. In brackets: 95 %.")
    absent = unmeasured_sheet(run)
    if absent.rows:
        yield table(absent)
    if run.problems:
        yield "\n".join(f"- {escaped(problem)}" for problem in run.problems)


def table(sheet: Sheet, *, notes: bool = False) -> str:
    """A sheet as a pipe table; `notes` puts what stands beneath a figure behind it."""
    heads = (f"{head.text}, {head.unit}" if head.unit else head.text for head in sheet.heads)
    rule = ("---:" if head.numeric else "---" for head in sheet.heads)
    lines = [[escaped(head) for head in heads], list(rule)]
    lines += [[_text(cell, notes) for cell in row] for row in sheet.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """On one line, with nothing that Markdown reads as more than a letter."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _text(cell: Cell, notes: bool) -> str:
    text = f"{cell.plain} ({cell.note})" if notes and cell.note else cell.plain
    return escaped(text)
