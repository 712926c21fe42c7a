"""Curves and bars of what was measured, as PNG and SVG whose bytes repeat.

Every function returns a matplotlib Figure and touches no global state; `save` writes it. Colours
are those of Okabe and Ito, told apart by every kind of colour vision; line styles differ as well,
for print in black.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import DatasetError, ExportError, MissingToolError
from atpn_deploy.evaluation.alignment import WHOLE
from atpn_deploy.evaluation.cells import PAPER
from atpn_deploy.evaluation.results import AlignmentResult, PoseResult, TrackingResult
from atpn_deploy.evaluation.training_log import StageLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
#: The paper's own figures, where they stand beside ours.
GREY = "#8C8C8C"
#: Column width of a two-column page and the width of both, in inches.
NARROW, WIDE = 4.4, 8.4
#: Height of one line of a legend, in inches.
LINE = 0.18
#: The CED is drawn to here; beyond it a face counts as failed.
NME_LIMIT_PERCENT = 10.0
ANGLE_LIMIT_DEG = 10.0
#: Precision-recall curves that are all better than this are enlarged from here to 1.
CORNER = 0.9
ANGLES = ("Yaw", "Pitch", "Roll")

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "svg.hashsalt": "atpn",  # else the ids differ from run to run
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib in our style; MissingToolError without it."""
    try:
        import matplotlib.style
    except ImportError as error:
        raise MissingToolError(
            "plots need matplotlib: pip install -c constraints.txt 'atpn-deploy[eval]'"
        ) from error
    with matplotlib.style.context(STYLE, after_reset=True):  # a user's matplotlibrc counts not
        yield


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `name`.png (200 dots an inch) and `name`.svg into `folder`; returns both paths.

    Raises ExportError where they can't be written.
    """
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it would move things a little at every drawing
        try:
            figure.savefig(png, dpi=200, metadata={"Software": None})
            figure.savefig(svg, metadata={"Date": None, "Creator": None})
        except OSError as error:
            path = error.filename or png
            raise ExportError(f"{path} cannot be written: {error.strerror}") from error
    return png, svg


def ced(results: Mapping[str, AlignmentResult]) -> Figure:
    """Cumulative error curves from 0 to 10 %, a line a network, with NME, FR and AUC each."""
    _require(results, "alignment")
    with styled():
        figure, (axes,) = _panels(NARROW, 3.0 + LINE * len(results), 1)
        for style, (label, result) in zip(_styles(), results.items(), strict=False):
            figures = result.subsets[WHOLE]
            text = (
                f"{label}: {figures.nme_percent:.2f} %, "
                f"{figures.failure_percent:.2f} %, {figures.auc:.3f}"
            )
            corners = cumulative(100 * result.errors, NME_LIMIT_PERCENT)
            axes.step(*corners, where="post", label=text, **style)
        first = next(iter(results.values()))
        axes.set(
            xlim=(0, NME_LIMIT_PERCENT),
            ylim=(0, 100),
            xlabel="NME, % of the inter-ocular distance",
            ylabel="faces with at most this error, %",
            title=f"{first.dataset}, {len(first.errors):,} faces",
        )
        _legend_below(figure, axes, "NME, FR and AUC at 0.1")
    return figure


def pose_ced(results: Mapping[str, PoseResult]) -> Figure:
    """Figure 8: cumulative error of yaw, pitch and roll, with MAE and failure rate of each."""
    _require(results, "pose")
    with styled():
        figure, panels = _panels(WIDE, 3.0 + LINE * len(results), 3)
        for style, (label, result) in zip(_styles(), results.items(), strict=False):
            texts = []
            for axes, angle, errors in zip(panels, ANGLES, result.errors_deg.T, strict=True):
                failed = 100 * float(np.mean(~(errors <= ANGLE_LIMIT_DEG)))
                texts.append(f"{angle.lower()} {errors.mean():.2f}°, {failed:.1f} %")
                text = f"{label}: {'; '.join(texts)}"  # the last panel's names all three
                corners = cumulative(errors, ANGLE_LIMIT_DEG)
                axes.step(*corners, where="post", label=text, **style)
        for axes, angle in zip(panels, ANGLES, strict=True):
            axes.set(xlim=(0, ANGLE_LIMIT_DEG), ylim=(0, 100), xlabel=f"{angle} error, degrees")
        first = next(iter(results.values()))
        panels[0].set_ylabel("faces with at most this error, %")
        figure.suptitle(f"{first.dataset}, {len(first.errors_deg):,} faces", fontsize=9.5)
        _legend_below(figure, panels[-1], "MAE and share of faces above 10°")
    return figure


def precision_recall(results: Mapping[str, TrackingResult]) -> Figure:
    """Figure 6: precision over recall with the average precision; the corner enlarged."""
    _require(results, "tracking")
    with styled():
        figure, (axes,) = _panels(NARROW, 3.2 + LINE * len(results), 1)
        places = [axes]
        if min(result.average_precision for result in results.values()) > CORNER:
            places.append(axes.inset_axes((0.16, 0.2, 0.62, 0.56)))
        for style, (label, result) in zip(_styles(), results.items(), strict=False):
            # Average precision is the area under these steps.
            recall = np.concatenate(([0.0], result.recall))
            precision = np.concatenate((result.precision[:1], result.precision))
            text = f"{label}: {100 * result.average_precision:.2f} %"
            for place in places:
                place.step(recall, precision, where="pre", label=text, **style)
        first = next(iter(results.values()))
        axes.set(
            xlim=(0, 1.005),
            ylim=(0, 1.005),
            xlabel="recall",
            ylabel="precision",
            title=f"{first.dataset}, {first.faces:,} faces, {first.negatives:,} negatives",
        )
        for inset in places[1:]:
            inset.set(xlim=(CORNER, 1.0005), ylim=(CORNER, 1.0005))
            inset.tick_params(labelsize=7)
            axes.indicate_inset_zoom(inset, edgecolor=GREY)
        _legend_below(figure, axes, "average precision")
    return figure


def training_curve(stages: Sequence[StageLog]) -> Figure:
    """Loss (and its running mean) over the steps of each stage, the learning rate beneath."""
    if not stages:
        raise DatasetError("the training log has no stage; a plot needs one at least")
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(max(NARROW, 2.8 * len(stages)), 3.6), layout="constrained")
        grid = figure.subplots(2, len(stages), squeeze=False, sharex="col", height_ratios=(3, 1))
        for stage, upper, lower in zip(stages, grid[0], grid[1], strict=True):
            smooth, losses = running_mean(stage.losses), stage.losses
            upper.plot(stage.steps, losses, color=COLOURS[5], linewidth=0.7, label="logged")
            upper.plot(stage.steps, smooth, color=COLOURS[0], label="running mean")
            if (losses > 0).all() and losses.max() > 4 * losses.min():
                _log_scale(upper)
            upper.set_title(f"stage {stage.number}")
            lower.plot(stage.steps, stage.rates, color=COLOURS[1], linewidth=1.2)
            lower.set(xlabel="step", ylim=(0, None))
            lower.ticklabel_format(axis="y", scilimits=(-2, 2), useMathText=True)
        grid[0, 0].set_ylabel("loss")
        grid[1, 0].set_ylabel("learning rate")
        grid[0, -1].legend(loc="upper right")
    return figure


def ablation_bars(series: Mapping[str, Mapping[str, float]], measure: str) -> Figure:
    """A bar a variant, a group of bars a variant's name; `series` is whose, then variant to value.

    `measure` is the axis' text with its unit. Beside each bar stand its value and how far it is
    from its series' first variant, in percent.
    """
    variants = list(dict.fromkeys(name for values in series.values() for name in values))
    if not variants:
        raise DatasetError("no variant was measured; ablation bars need one at least")
    with styled():
        height = 0.9 + 0.27 * len(variants) * len(series) + 0.12 * len(variants)
        figure, (axes,) = _panels(NARROW + 1, height + 0.25 * len(series), 1)
        thick = 0.8 / len(series)
        colours = itertools.cycle(COLOURS)
        for i, (name, values) in enumerate(series.items()):
            at = [k + (i - (len(series) - 1) / 2) * thick for k in range(len(variants))]
            drawn = [(y, values[v]) for y, v in zip(at, variants, strict=True) if v in values]
            colour = GREY if name == PAPER else next(colours)
            bars = axes.barh(
                [y for y, _ in drawn], [v for _, v in drawn], 0.92 * thick, color=colour, label=name
            )
            texts = [_against(value, next(iter(values.values()))) for _, value in drawn]
            axes.bar_label(bars, texts, padding=3, fontsize=8)
        axes.set_yticks(range(len(variants)), variants)
        axes.invert_yaxis()
        axes.set_xlabel(measure)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.28 * max(v for values in series.values() for v in values.values()))
        _legend_below(figure, axes, None)
    return figure


def _against(value: float, first: float) -> str:
    if value == first or not first:
        return f"{value:.2f}"
    return f"{value:.2f} ({100 * (value / first - 1):+.1f} %)".replace("-", "\N{MINUS SIGN}")


def cumulative(errors: Floats, limit: float) -> tuple[Floats, Floats]:
    """The CED's corners for a step after each point: errors, and percent of faces at most there.

    From 0 to `limit`; an error that is not a number is beyond it.
    """
    within = np.sort(errors[errors <= limit])
    share = 100 * np.arange(1, len(within) + 1) / max(1, len(errors))
    end = share[-1] if len(share) else 0.0
    return np.array([0, *within, limit]), np.array([0, *share, end])


def running_mean(values: Floats) -> Floats:
    """The mean of the neighbours, 5 or a fiftieth of the curve; fewer at both ends."""
    half = max(2, len(values) // 100)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    first, end = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((sums[end] - sums[first]) / (end - first))


def _panels(width: float, height: float, count: int) -> tuple[Figure, list[Axes]]:
    """A figure in inches with `count` axes side by side that share their y axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False, sharey=True)[0])


def _log_scale(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _styles() -> Iterator[dict[str, Any]]:
    """Colour and dash of one line after the other; 28 differ."""
    for i in range(len(COLOURS) * len(DASHES)):
        yield {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}


def _legend_below(figure: Figure, axes: Axes, title: str | None) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", title=title, alignment="left")


def _require(results: Mapping[str, Any], what: str) -> None:
    if not results:
        raise DatasetError(f"no {what} was measured; a plot needs one result at least")
