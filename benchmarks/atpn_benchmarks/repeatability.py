"""`python -m atpn_benchmarks.repeatability RUN...`: how well ratios repeat from run to run.

Absolute times of a shared machine move together; the ratio of two files that were timed in the
same rounds should not. docs/bench.md quotes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from atpn_benchmarks.results import Run
from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ResultsError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Repeated:
    """One file over several runs, on one thread."""

    name: str
    p50_s: tuple[float, ...]
    ratios: tuple[float, ...]  # to the reference of the same run

    @property
    def time_spread(self) -> float:
        """The largest deviation of a time from the median of all, as a share."""
        return _spread(self.p50_s)

    @property
    def ratio_spread(self) -> float:
        """The same of the ratios."""
        return _spread(self.ratios)


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return max(abs(value / middle - 1) for value in values)


def repeated(runs: Sequence[Run], reference: str) -> tuple[Repeated, ...]:
    """Every other row that all runs have timed, beside the row `reference`.

    Raises ResultsError for fewer than two runs, for two machines and for a run without the
    reference.
    """
    if len(runs) < 2:
        raise ResultsError(f"{len(runs)} run came; how it repeats takes two or more")
    if len({run.machine.identity for run in runs}) > 1:
        raise ResultsError(
            "the runs are of different machines: ratios of one say nothing of others"
        )
    times = [_times(run) for run in runs]
    for run, found in zip(runs, times, strict=True):
        if reference not in found:
            raise ResultsError(f"{run.id} has not timed {reference}; it has {', '.join(found)}")
    names = [name for name in times[0] if all(name in found for found in times)]
    return tuple(
        Repeated(
            name,
            tuple(found[name] for found in times),
            tuple(found[name] / found[reference] for found in times),
        )
        for name in names
        if name != reference
    )


def _times(run: Run) -> dict[str, float]:
    """Median seconds on one thread by row, of rows that have any."""
    timings = ((row.name, row.timing(1)) for row in run.rows)
    return {name: t.summary.p50_s for name, t in timings if t is not None and t.summary is not None}


@app.command()
def main_command(
    runs: Annotated[list[str], typer.Argument(help="result files, or ids of the history")],
    reference: Annotated[str, typer.Option(help="the row that the others are divided by")],
    history: Annotated[Path | None, typer.Option(help="the history that holds the ids")] = None,
) -> None:
    """Print, per file, its median and ratio, and how far runs were from them at most."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from atpn_benchmarks.history import run_named

    found = repeated([run_named(name, history) for name in runs], reference)
    table = Table("file", box=SIMPLE_HEAD, title=f"{len(runs)} runs, against {reference}")
    for title in ("ms", "+-", "ratio", "+-"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found:
        times = f"{median(row.p50_s) * 1e3:.3f}", f"{row.time_spread:.1%}"
        table.add_row(row.name, *times, f"{median(row.ratios):.3f}", f"{row.ratio_spread:.1%}")
    Console().print(table)


main = main_of(app)

if __name__ == "__main__":
    main()
