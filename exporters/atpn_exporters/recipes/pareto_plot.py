"""Drift against speed, the area of a point its file's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from atpn_exporters.recipes.pareto import Measurement, front
from atpn_exporters.recipes.search import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHOSEN, PARETO, OTHER, LIMIT = "#c2410c", "#1d4ed8", "#9ca3af", "#b91c1c"
#: The line of the limit is drawn where a file comes this near to it, as a share.
LIMIT_IN_SIGHT = 0.8


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot(result: SearchResult, path: Path) -> None:
    """Write a PNG: all files, the candidates alone, their names by the table's numbers.

    Needs matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    whole, near, words = figure.subplots(1, 3, width_ratios=(2, 3, 1.7))
    shown = {n: m for n, m in enumerate(result.measurements, 1) if m.rows and not m.failed}
    candidates = {n: m for n, m in shown.items() if not m.reference}
    for axes, files in ((whole, shown), (near, candidates)):
        _draw_files(axes, files, result)
        axes.set_xlabel("speed, times that of the float file")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.12)
    whole.set_ylabel("drift, largest share of a limit")
    whole.axvline(1, color=OTHER, linewidth=1, linestyle=":")
    whole.set_ylim(bottom=-0.1)
    whole.set_title("all files (squares: for comparison)", fontsize=9, loc="left")
    near.set_title("the candidates (orange: taken; blue: not beaten)", fontsize=9, loc="left")
    words.axis("off")
    for line, (number, measured) in enumerate(shown.items()):
        told = f"{number}  {measured.name}"
        color = color_of(measured, result)
        words.text(0, 1 - line / 16, told, color=color, fontsize=9, va="top")
    figure.suptitle(f"{result.model} as {result.target}", fontsize=11)
    figure.savefig(path, dpi=110)


def color_of(measured: Measurement, result: SearchResult) -> str:
    """What a point is: taken, one of the Pareto set, or beaten."""
    if measured is result.choice.chosen:
        return CHOSEN
    return PARETO if measured in front(result.measurements) else OTHER


def line_of(files: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """What nothing beats in drift and speed, sizes left aside."""
    return front([replace(measured, size_bytes=0) for measured in files])


def _draw_files(axes: Axes, files: Mapping[int, Measurement], result: SearchResult) -> None:
    """Points with their numbers, a line, and the limit where it is in sight.

    The line joins what nothing beats in the two that are drawn; a file of the Pareto set that lies
    off it is there for its size.
    """
    largest = max((m.size_bytes for m in result.measurements), default=1)
    candidates_only = not any(measured.reference for measured in files.values())
    best = sorted(line_of(list(files.values())), key=lambda m: m.ratio)
    axes.plot([m.ratio for m in best], [m.drift for m in best], color=PARETO, linewidth=1)
    for number, measured in files.items():
        axes.scatter(
            measured.ratio,
            measured.drift,
            s=20 + 160 * measured.size_bytes / max(largest, 1),
            color=color_of(measured, result),
            marker="s" if measured.reference else "o",
            zorder=3,
        )
        # Among all files the candidates lie too close for numbers of their own.
        named = measured.reference or candidates_only
        axes.annotate(
            str(number) if named else "",
            (measured.ratio, measured.drift),
            (6, 5),
            textcoords="offset points",
            color=color_of(measured, result),
            fontsize=8,
            zorder=4,
        )
    if any(m.drift > LIMIT_IN_SIGHT for m in files.values()):
        axes.axhline(1, color=LIMIT, linewidth=1, linestyle="--", label="limit")
        axes.legend(loc="upper left", frameon=False, fontsize=8)
