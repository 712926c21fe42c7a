from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_deploy.errors import DatasetError, ExportError
from atpn_deploy.evaluation.results import (
    AlignmentFigures,
    AlignmentResult,
    PoseResult,
    TrackingResult,
)
from atpn_deploy.evaluation.training_log import StageLog
from atpn_deploy.metrics import area_under_ced

pytest.importorskip("matplotlib", reason="matplotlib is not at hand")

from atpn_deploy.evaluation import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERRORS = np.array([0.05, 0.01, 0.3, np.nan, 0.02])


def aligned(errors=ERRORS) -> AlignmentResult:
    figures = AlignmentFigures(len(errors), 4.61, 6.0, 3.25, 0.543)
    return AlignmentResult("mine", {"testset": figures}, errors)


def turned() -> PoseResult:
    return PoseResult("heads", {}, np.array([[1.0, 4.0, 20.0], [3.0, 12.0, 40.0]]))


def told(precision: float) -> TrackingResult:
    return TrackingResult(
        "crops", 2, 3, precision, np.array([1.0, 0.5, 0.25]), np.array([0.5, 0.5, 1.0])
    )


def stage(number: int) -> StageLog:
    steps = np.arange(50, 550, 50)
    return StageLog(number, steps, 1000.0 / steps, 1e-3 * steps / 500)


def texts(figure: Figure) -> list[str]:
    """Every legend entry of the figure and of its axes."""
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


FIGURES: dict[str, Callable[[], Figure]] = {
    "ced": lambda: plots.ced({"a": aligned(), "b": aligned(ERRORS / 2)}),
    "pose": lambda: plots.pose_ced({"a": turned()}),
    "precision": lambda: plots.precision_recall({"a": told(0.95)}),
    "training": lambda: plots.training_curve([stage(1), stage(2)]),
    "ablation": lambda: plots.ablation_bars({"x": {"one": 2.0, "two": 1.0}}, "NME (%)"),
}


def test_a_curve_counts_the_faces_at_most_at_an_error():
    x, y = plots.cumulative(100 * ERRORS, 10)

    assert x.tolist() == [0, 1, 2, 5, 10]
    assert y.tolist() == [0, 20, 40, 60, 60]


def test_the_area_under_the_steps_is_the_auc():
    errors = np.random.default_rng(0).gamma(2, 0.03, 400)
    x, y = plots.cumulative(100 * errors, 10)

    area = float((np.diff(x) * y[:-1]).sum()) / 10 / 100
    assert area == pytest.approx(area_under_ced(errors))


def test_no_error_within_the_limit_is_a_flat_curve():
    x, y = plots.cumulative(np.array([50.0]), 10)

    assert (x.tolist(), y.tolist()) == ([0, 10], [0, 0])


def test_ced_has_a_line_a_network_with_its_own_figures():
    figure = plots.ced({"a": aligned(), "b": aligned(ERRORS / 2)})

    (axes,) = figure.axes
    assert [line.get_drawstyle() for line in axes.lines] == ["steps-post"] * 2
    assert axes.lines[1].get_xdata().tolist() == [0, 0.5, 1, 2.5, 10]
    assert axes.get_xlim() == (0, 10)
    assert texts(figure) == ["a: 4.61 %, 3.25 %, 0.543", "b: 4.61 %, 3.25 %, 0.543"]
    assert axes.lines[0].get_color() != axes.lines[1].get_color()
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()


def test_pose_ced_has_a_panel_an_angle():
    figure = plots.pose_ced({"a": turned()})

    assert [axes.get_xlabel().split()[0] for axes in figure.axes] == ["Yaw", "Pitch", "Roll"]
    assert [axes.lines[0].get_ydata()[-1] for axes in figure.axes] == [100, 50, 0]
    assert {axes.lines[0].get_drawstyle() for axes in figure.axes} == {"steps-post"}
    assert texts(figure) == ["a: yaw 2.00°, 0.0 %; pitch 8.00°, 50.0 %; roll 30.00°, 100.0 %"]


def test_the_area_under_the_precision_steps_is_the_average_precision():
    result = told(0.5 * 1.0 + 0.5 * 0.25)
    figure = plots.precision_recall({"a": result})

    (axes,) = figure.axes
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-pre"  # a step holds the precision of its right end
    recall, precision = line.get_xdata(), line.get_ydata()
    assert float((np.diff(recall) * precision[1:]).sum()) == result.average_precision
    assert texts(figure) == ["a: 62.50 %"]


def test_the_corner_is_enlarged_where_every_curve_reaches_it():
    (axes,) = plots.precision_recall({"a": told(0.99)}).axes
    (inset,) = axes.child_axes
    assert inset.get_xlim()[0] == plots.CORNER
    assert inset.lines[0].get_ydata().tolist() == axes.lines[0].get_ydata().tolist()

    (axes,) = plots.precision_recall({"a": told(0.99), "b": told(0.5)}).axes
    assert axes.child_axes == []


def test_training_curve_shows_loss_above_rate():
    figure = plots.training_curve([stage(1), stage(3)])

    first, second, below, _ = figure.axes
    assert (first.get_title(), second.get_title()) == ("stage 1", "stage 3")
    assert first.lines[0].get_ydata().tolist() == stage(1).losses.tolist()
    assert first.lines[0].get_xdata().tolist() == stage(1).steps.tolist()
    assert below.lines[0].get_ydata().tolist() == stage(1).rates.tolist()
    assert first.get_yscale() == "log"  # 20 to 2


def test_the_running_mean_is_of_the_neighbours():
    values = np.arange(10.0) ** 2

    smooth = plots.running_mean(values)

    assert smooth[5] == values[3:8].mean()
    assert smooth[0] == values[:3].mean()
    assert smooth[-1] == values[-3:].mean()


def test_ablation_bars_start_at_zero_and_name_value_and_gain():
    series = {"the paper": {"plain": 5.61, "full": 5.13}, "ours": {"plain": 8.0, "full": 6.0}}

    figure = plots.ablation_bars(series, "NME (%)")

    (axes,) = figure.axes
    paper, ours = axes.containers
    assert [bar.get_width() for bar in paper] == [5.61, 5.13]
    assert [bar.get_width() for bar in ours] == [8.0, 6.0]
    assert axes.get_xlim()[0] == 0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain", "full"]
    written = {text.get_text() for text in axes.texts}
    assert {"5.61", "5.13 (\N{MINUS SIGN}8.6 %)", "6.00 (\N{MINUS SIGN}25.0 %)"} <= written
    for bars in (paper, ours):  # each bar lies within half a step of its variant
        at = [bar.get_y() + bar.get_height() / 2 for bar in bars]
        assert [round(y) for y in at] == [0, 1]


def test_a_variant_that_a_series_lacks_has_no_bar():
    figure = plots.ablation_bars({"a": {"x": 1.0}, "b": {"x": 2.0, "y": 3.0}}, "AP (%)")

    assert [len(bars) for bars in figure.axes[0].containers] == [1, 2]


@pytest.mark.parametrize("name", FIGURES)
def test_files_repeat_to_the_byte(name, tmp_path):
    first = [path.read_bytes() for path in plots.save(FIGURES[name](), tmp_path, "first")]
    second = [path.read_bytes() for path in plots.save(FIGURES[name](), tmp_path, "second")]

    assert first == second
    assert first[0].startswith(b"\x89PNG")
    root = ElementTree.fromstring(first[1])
    assert root.tag.endswith("svg")
    assert b"<dc:date>" not in first[1]


def test_a_users_own_style_changes_nothing(tmp_path):
    import matplotlib as mpl

    plain = plots.save(FIGURES["ced"](), tmp_path, "plain")[0].read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        styled = plots.save(FIGURES["ced"](), tmp_path, "styled")[0].read_bytes()
        assert mpl.rcParams["font.size"] == 30

    assert styled == plain


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"nowhere.x\.png cannot be written: No such file"):
        plots.save(FIGURES["ced"](), tmp_path / "nowhere", "x")


@pytest.mark.parametrize(
    "plot",
    [
        plots.ced,
        plots.pose_ced,
        plots.precision_recall,
        plots.training_curve,
        lambda nothing: plots.ablation_bars(nothing, "NME"),
    ],
)
def test_nothing_measured_is_an_error(plot):
    with pytest.raises(DatasetError, match="at least"):
        plot({})


def test_all_line_styles_differ():
    styles = [(s["color"], str(s["linestyle"])) for s in plots._styles()]

    assert len(set(styles)) == len(styles) == 28
