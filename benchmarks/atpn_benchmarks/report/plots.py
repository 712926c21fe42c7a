"""The charts of a run as PNG and SVG: the geometry of the page's, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from atpn_benchmarks.report.charts.bars import BAR, Bar, Bars, bars
from atpn_benchmarks.report.charts.marks import DRIFTS, OURS, own_models
from atpn_benchmarks.report.charts.roofs import roofline
from atpn_benchmarks.report.charts.scatter import TEXT, Plot, scatter
from atpn_benchmarks.report.palette import LIGHT
from atpn_benchmarks.report.standing import distinct, first_threads, standings
from atpn_benchmarks.results import Run
from atpn_deploy.errors import ExportError
from atpn_deploy.evaluation.plots import save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Pixels of the geometry in an inch of the figure.
DENSITY = 100.0
WIDTH, HEIGHT = 1020.0, 470.0
#: Matplotlib counts letters and lines in points of 1/72 inch.
POINT = 72 / DENSITY
MARKERS = {"circle": "o", "square": "s", "triangle": "^", "hexagon": "h", "diamond": "D"}
DASHES = {
    "front-1": "--",
    "front-2": ":",
    "front-3": "-.",
    "slope-cache": "--",
    "slope-memory": ":",
}
LEGEND = 30.0  # height of the line under a chart


def plots(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write size-latency, latency and roofline into `folder`, each as .png and .svg; their paths.

    The roofline only where the run has peaks. Raises MissingToolError without matplotlib and
    ExportError where nothing was measured or a file can't be written.
    """
    run = distinct(run)
    found = standings(run)
    if not found:
        raise ExportError(f"run {run.id} has no figures: there is nothing to plot")
    drawn = {
        "size-latency": scatter_figure(run),
        "latency": bars_figure(run),
        "roofline": roofline_figure(run),
    }
    written = (save(figure, folder, name) for name, figure in drawn.items() if figure is not None)
    return tuple(path for pair in written for path in pair)


def scatter_figure(run: Run) -> Figure:
    """Size over latency, drift as colour."""
    found = standings(run)
    figure, axes = _canvas(WIDTH, HEIGHT + LEGEND)
    _draw(axes, scatter(found, WIDTH, HEIGHT))
    entries = [("o", LIGHT[css], f"drift {text}") for css, _, text in DRIFTS]
    entries += [
        (MARKERS[OURS[n % len(OURS)]], LIGHT["drift-none"], name)
        for n, name in enumerate(own_models(found))
    ]
    _legend(axes, [*entries, ("D", LIGHT["peer"], "peer")])
    return figure


def roofline_figure(run: Run) -> Figure | None:
    """The roofline; None where the run has no peaks or its figures are of several threads."""
    if run.peaks is None or first_threads(run) != 1:
        return None
    chart = roofline(standings(run), run.peaks, WIDTH, HEIGHT)
    if chart is None:
        return None
    figure, axes = _canvas(WIDTH, HEIGHT + LEGEND)
    _draw(axes, chart)
    entries = [("o", LIGHT["float"], "float"), ("s", LIGHT["quantised"], "int8")]
    _legend(axes, [*entries, ("D", LIGHT["peer"], "peer")])
    return figure


def bars_figure(run: Run) -> Figure:
    """Medians with their intervals."""
    chart = bars(standings(run), WIDTH)
    figure, axes = _canvas(WIDTH, chart.height + LEGEND)
    _draw_ticks(axes, chart)
    for each in chart.bars:
        _draw_bar(axes, each)
    kinds = (("float", "float"), ("quantised", "int8 and the like"), ("peer", "peer"))
    _legend(axes, [("s", LIGHT[css], text) for css, text in kinds])
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose one axes counts in the geometry's pixels, downward."""
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width / DENSITY, height / DENSITY), facecolor=LIGHT["card"])
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def _draw(axes: Axes, chart: Plot) -> None:
    frame = chart.frame
    for tick in chart.x_ticks:
        _line(axes, (tick.at, tick.at), (frame.top, frame.bottom), "line", 0.8)
        _text(axes, tick.at, frame.bottom + 17, tick.text, colour="soft", align="center")
    for tick in chart.y_ticks:
        _line(axes, (frame.left, frame.right), (tick.at, tick.at), "line", 0.8)
        _text(axes, frame.left - 7, tick.at + 4, tick.text, colour="soft", align="right")
    middle = (frame.left + frame.right) / 2
    _text(axes, middle, chart.height - 8, chart.x_name, colour="soft", align="center")
    _text(axes, 4, 11, chart.y_name, colour="soft")
    for classes, points in chart.lines:
        _draw_line(axes, classes, points)
    for label in chart.labels:
        if label.line is not None:
            x1, y1, x2, y2 = label.line
            _line(axes, (x1, x2), (y1, y2), "soft", 0.6)
    for mark in chart.marks:
        _draw_mark(axes, mark.x, mark.y, mark.classes.split(), mark.shape)
    for label in (*chart.notes, *chart.labels):
        _text(axes, label.x, label.y, label.text)


def _draw_line(axes: Axes, classes: str, points: str) -> None:
    """A front, a roof or a slope."""
    if not points:
        return
    xs, ys = zip(*(map(float, point.split(",")) for point in points.split()), strict=True)
    names = classes.split()
    colour = {"roof-fp32": "float", "roof-int8": "quantised"}.get(names[-1], "soft")
    _line(axes, xs, ys, colour, 1.3, DASHES.get(names[-1], "-"))


def _draw_mark(axes: Axes, x: float, y: float, names: list[str], shape: str) -> None:
    colour = next(LIGHT[name] for name in names if name in LIGHT)
    hollow = "hollow" in names or "flawed" in names
    edge = colour if hollow else LIGHT["ink"] if "best" in names else LIGHT["card"]
    axes.plot(
        [x],
        [y],
        MARKERS[shape],
        markersize=8.5 if shape != "diamond" else 7.5,
        markerfacecolor=LIGHT["card"] if hollow else colour,
        markeredgecolor=edge,
        markeredgewidth=1.6 if hollow else 1.1,
        alpha=0.55 if "flawed" in names else 1.0,
    )


def _draw_ticks(axes: Axes, chart: Bars) -> None:
    for tick in chart.ticks:
        _line(axes, (tick.at, tick.at), (4, chart.bottom), "line", 0.8)
        _text(axes, tick.at, chart.bottom + 15, tick.text, colour="soft", align="center")
    middle = (chart.left + chart.width) / 2
    _text(axes, middle, chart.bottom + 33, chart.x_name, colour="soft", align="center")


def _draw_bar(axes: Axes, bar: Bar) -> None:
    colour = next(LIGHT[name] for name in bar.classes.split() if name in LIGHT)
    flawed = "flawed" in bar.classes.split()
    middle = bar.top + BAR / 2
    axes.barh(
        [middle],
        [bar.right - bar.left],
        left=bar.left,
        height=BAR,
        facecolor="none" if flawed else colour,
        edgecolor=colour,
        linestyle="--" if flawed else "-",
        linewidth=0.8,
    )
    _line(axes, (bar.high, bar.p95), (middle, middle), "soft", 0.8, ":")
    _line(axes, (bar.low, bar.high), (middle, middle), "ink", 1.2)
    for end in (bar.low, bar.high):
        _line(axes, (end, end), (middle - 4, middle + 4), "ink", 1.2)
    words = "soft" if flawed else "ink"
    align = "right" if bar.anchor == "end" else "left"
    _text(axes, bar.text_x, bar.text_y, bar.text, colour=words, align=align)
    _text(axes, bar.value_x, bar.top + 11, bar.value, colour=words)


def _line(
    axes: Axes,
    xs: Iterable[float],
    ys: Iterable[float],
    colour: str,
    width: float,
    dash: str = "-",
) -> None:
    """A line; the grid lies under everything."""
    order = 0.5 if colour == "line" else 2.0
    axes.plot(list(xs), list(ys), dash, color=LIGHT[colour], linewidth=width, zorder=order)


def _text(
    axes: Axes, x: float, y: float, text: str, *, colour: str = "ink", align: str = "left"
) -> None:
    """Words as they are: a dollar in a name starts no formula."""
    axes.text(
        x,
        y,
        text,
        color=LIGHT[colour],
        fontsize=TEXT * POINT,
        ha=align,
        va="baseline",
        parse_math=False,
    )


def _legend(axes: Axes, entries: Iterable[tuple[str, str, str]]) -> None:
    """One line under the chart: marker, colour, words."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", label=text, markersize=7)
        for marker, colour, text in entries
    ]
    with styled():
        axes.legend(
            handles=handles,
            loc="lower center",
            ncols=len(handles),
            fontsize=TEXT * POINT,
            handletextpad=0.2,
            columnspacing=1.2,
        )
