from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.report.plots import plots, roofline_figure, scatter_figure
from atpn_benchmarks.results import Run
from atpn_deploy.errors import ExportError
from atpn_deploy.evaluation.plots import save

pytestmark = pytest.mark.needs("matplotlib")


def test_three_charts_are_written_twice_and_their_bytes_repeat(run: Run, tmp_path: Path) -> None:
    first = plots(run, tmp_path)
    assert [path.name for path in first] == [
        *("size-latency.png", "size-latency.svg"),
        *("latency.png", "latency.svg"),
        *("roofline.png", "roofline.svg"),
    ]
    for path, again in zip(first, save(scatter_figure(run), tmp_path, "again"), strict=False):
        assert path.read_bytes() == again.read_bytes(), path.name


def test_a_dollar_in_a_name_is_no_formula(run: Run) -> None:
    row = replace(run.rows[-10], title="$x_{\\frac $ <b>")
    figure = scatter_figure(replace(run, rows=(row,)))
    figure.draw_without_rendering()
    assert "$x_{\\frac $ <b>" in [text.get_text() for text in figure.axes[0].texts]


def test_without_peaks_there_is_no_roofline(phone: Run, tmp_path: Path) -> None:
    assert roofline_figure(phone) is None
    assert len(plots(phone, tmp_path)) == 4


def test_a_run_without_figures_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nothing to plot"):
        plots(replace(run, rows=run.rows[-3:]), tmp_path)
