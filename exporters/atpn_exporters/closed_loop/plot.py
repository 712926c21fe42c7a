"""Drift over time, a line a file; a mark where a track is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atpn_deploy.evaluation.plots import COLOURS, GREY, WIDE, save, styled
from atpn_exporters.closed_loop.run import LoopResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Drift below this is drawn at it: a logarithmic axis has no zero. Percent of inter-ocular.
LEAST = 1e-3


def draw(video: str, results: Sequence[LoopResult], path: Path) -> Path:
    """Write the plot as PNG and SVG beside it; returns the PNG's path.

    Raises MissingToolError without matplotlib, ExportError where it can't be written.
    """
    return save(figure(video, results), path.parent, path.stem)[0]


def figure(video: str, results: Sequence[LoopResult]) -> Figure:
    """Landmarks' drift in percent of the inter-ocular distance over the seconds of the video.

    Where several faces are followed their median counts. Raises MissingToolError without
    matplotlib.
    """
    with styled():
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(WIDE, 3.6), dpi=200, layout="constrained")
        axes = drawn.subplots()
        for k, result in enumerate(result for result in results if result.samples):
            colour, dashes = COLOURS[k % len(COLOURS)], ("-", "--", ":")[k // len(COLOURS) % 3]
            times, drift = _course(result)
            axes.plot(times, drift, dashes, color=colour, lw=0.9, label=result.path.name)
            for gap in result.comparison.lost if result.comparison else ():
                axes.axvline(gap.time_s, color=colour, lw=0.8, ls=":")
                axes.plot([gap.time_s], [LEAST], "x", color=colour, clip_on=False)
        axes.set_yscale("log")
        axes.set_ylim(bottom=LEAST)
        axes.set_xlabel("seconds")
        axes.set_ylabel("landmarks from the reference's\n(% inter-ocular)")
        axes.set_title(f"{video}: each file in its own closed loop; x: a track lost", color=GREY)
        axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def _course(result: LoopResult) -> tuple[list[float], list[float]]:
    """Seconds and median drift of each frame in which a face is followed; gaps are NaN."""
    frames: dict[int, list[float]] = {}
    times: dict[int, float] = {}
    for sample in result.samples:
        frames.setdefault(sample.frame, []).append(sample.landmarks_percent)
        times[sample.frame] = sample.time_s
    x: list[float] = []
    y: list[float] = []
    before: int | None = None
    for frame, values in frames.items():
        if before is not None and frame != before + 1:
            x.append(times[frame])
            y.append(float("nan"))
        x.append(times[frame])
        y.append(max(LEAST, float(np.median(values))))
        before = frame
    return x, y
