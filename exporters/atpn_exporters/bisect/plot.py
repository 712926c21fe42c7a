"""A bisected file drawn: which layers do the damage, and how errors arise and drift on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atpn_deploy.evaluation.plots import COLOURS, GREY, WIDE, save, styled
from atpn_exporters.bisect.measure import Damage, Error, Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from atpn_exporters.bisect.report import BisectReport

#: Bars that are drawn.
BARS = 12
#: Errors below this share are drawn at it: a logarithmic axis has no zero.
LEAST = 1e-8


def draw(report: BisectReport) -> Path:
    """Write the plot beside the file as PNG and SVG; returns the PNG's path.

    Raises MissingToolError without matplotlib, ExportError where it can't be written.
    """
    return save(figure(report), report.path.parent, f"{report.path.name}.bisect")[0]


def figure(report: BisectReport) -> Figure:
    """Bars of the worst layers above; below, every layer in the network's order.

    Raises MissingToolError without matplotlib.
    """
    with styled():
        from matplotlib.figure import Figure

        # As dense as it is saved: text is a little wider there, and labels would be cut.
        drawn = Figure(figsize=(WIDE, 6.4), dpi=200, layout="constrained")
        above, below = drawn.subplots(2, 1, height_ratios=(1.25, 1))
        drawn.suptitle(f"{report.path.name}: layers against {report.model}", fontsize=9.5)
        _bars(above, report.examination.findings[:BARS])
        _course(below, sorted(report.examination.findings, key=lambda f: f.index))
    return drawn


def _bars(axes: Axes, findings: tuple[Finding, ...]) -> None:
    """What each layer alone does to the task, in shares of what an int8 file may lose."""
    finite = [f.damage.score for f in findings if np.isfinite(f.damage.score)]
    end = 1.15 * max([*finite, 1e-12])
    rows = np.arange(len(findings))
    lengths = [min(f.damage.score, end) for f in findings]
    ruined = [not np.isfinite(f.damage.score) for f in findings]
    axes.barh(rows, lengths, color=[COLOURS[1] if bad else COLOURS[0] for bad in ruined])
    for row, finding in zip(rows, findings, strict=True):
        text = _largest(finding.damage)
        axes.text(min(finding.damage.score, end), float(row), f" {text}", va="center", fontsize=7.5)
    axes.set_yticks(rows, [f.layer.name for f in findings], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * end)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("damage of the layer alone (1: 0.5 px, 1.5° or 0.1 of probability)")


def _largest(damage: Damage) -> str:
    """The output in which the damage shows most, in its unit."""
    texts = {
        damage.landmarks_px / 0.5: f"{damage.landmarks_px:.2g} px",
        (damage.pose_degrees or 0.0) / 1.5: f"{damage.pose_degrees or 0.0:.2g}°",
        (damage.confidence or 0.0) / 0.1: f"{damage.confidence or 0.0:.2g} of probability",
    }
    if not np.isfinite(damage.score):
        return "NaN or infinite, or it does not run"
    return texts[max(texts)]


def _course(axes: Axes, findings: list[Finding]) -> None:
    """Relative errors along the network: what arises in a layer and what has arrived there."""
    places = np.arange(len(findings))
    arrived = [f.cumulative for f in findings]
    if all(error is not None for error in arrived):
        axes.plot(
            places,
            [_height(error) for error in arrived if error is not None],
            color=COLOURS[1],
            label="cumulative: arrived on the file's own run",
        )
    axes.plot(
        places,
        [_height(f.isolated) for f in findings],
        color=COLOURS[0],
        linestyle="none",
        marker="o",
        markersize=3,
        label="isolated: arises in the layer",
    )
    axes.set_yscale("log")
    axes.set_xlim(-1, len(findings))
    axes.set_ylabel("error, share of the values")
    _stages(axes, [f.layer.name.partition(".")[0] for f in findings])
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2)


def _height(error: Error) -> float:
    """Where an error is drawn; what is not finite is a gap."""
    return max(error.relative, LEAST) if error.finite else float("nan")


def _stages(axes: Axes, stages: list[str]) -> None:
    """Name the parts of the network along the axis and part them by lines."""
    starts = [i for i, stage in enumerate(stages) if i == 0 or stage != stages[i - 1]]
    ends = [*starts[1:], len(stages)]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color=GREY, linewidth=0.6)
    wide = [(a, b) for a, b in zip(starts, ends, strict=True) if b - a > len(stages) / 40]
    axes.set_xticks([(a + b - 1) / 2 for a, b in wide], [stages[a] for a, _ in wide])
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
