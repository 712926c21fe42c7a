"""The fits of the estimator as tables: the errors of each board, and those of each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.arm.validation import MOST_MEAN, MOST_WORST, Fit, LeftOut

COLUMNS = ("board", "core", "GHz", "factor", "mean error", "worst error", "of", "networks", "band")


def fit_cells(fit: Fit) -> tuple[str, ...]:
    """One board in the order of `COLUMNS`."""
    low, high = fit.band
    return (
        fit.board.title,
        fit.board.core,
        f"{fit.board.gigahertz:g}",
        f"{fit.alpha:.2f}",
        f"{fit.mean_error:.1%}",
        f"{fit.worst.error:+.1%}",
        fit.worst.network,
        str(len(fit.left_out)),
        f"{low:.2f}-{high:.2f}",
    )


def validation_table(fits: Sequence[Fit]) -> RenderableType:
    """A row a board, then a row a network with its error on each board."""
    boards = Table(
        title="estimated against published, each network left out of its own fit",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1),
    )
    for column in ("board", "factor", "mean", "worst", "of", "band", ""):
        left = column in ("board", "of", "")
        boards.add_column(column, justify="left" if left else "right", no_wrap=True)
    errors = Table(
        title="error of each network",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1),
    )
    errors.add_column("network", no_wrap=True)
    for fit in fits:
        title, _core, _gigahertz, factor, mean, worst, network, _count, band = fit_cells(fit)
        verdict = Text("ok", "green") if fit.good else Text("beyond", "yellow")
        boards.add_row(title, factor, mean, worst, network, band, verdict)
        errors.add_column(fit.board.name, justify="right", overflow="fold")
    for network, cells in _errors(fits):
        errors.add_row(network, *cells)
    asked = Text(f"  asked for: {MOST_MEAN:.0%} mean, {MOST_WORST:.0%} worst", style="dim")
    return Group(boards, asked, errors)


def validation_markdown(fits: Sequence[Fit]) -> str:
    """Both tables for a page of documentation."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * (len(COLUMNS) - 2)]
    lines += ["| " + " | ".join(fit_cells(fit)) + " |" for fit in fits]
    lines += ["", "| error | " + " | ".join(fit.board.name for fit in fits) + " |"]
    lines.append("|---|" + "---:|" * len(fits))
    lines += [f"| {network} | " + " | ".join(cells) + " |" for network, cells in _errors(fits)]
    return "\n".join(lines) + "\n"


def others_markdown(others: Mapping[str, Sequence[LeftOut]]) -> str:
    """Networks that stand in no fit: a row a board."""
    names = list(dict.fromkeys(one.network for found in others.values() for one in found))
    lines = ["| error | " + " | ".join(names) + " | mean |", "|---|" + "---:|" * (len(names) + 1)]
    for board, found in others.items():
        errors = {one.network: one.error for one in found}
        cells = [f"{errors[name]:+.0%}" if name in errors else "" for name in names]
        mean = sum(abs(one.error) for one in found) / len(found)
        lines.append(f"| {board} | " + " | ".join(cells) + f" | {mean:.1%} |")
    return "\n".join(lines) + "\n"


def _errors(fits: Sequence[Fit]) -> list[tuple[str, list[str]]]:
    """Each network with its error on every board, empty where none was published."""
    found = [{one.network: f"{one.error:+.0%}" for one in fit.left_out} for fit in fits]
    names = dict.fromkeys(name for errors in found for name in errors)
    return [(name, [errors.get(name, "") for errors in found]) for name in names]
