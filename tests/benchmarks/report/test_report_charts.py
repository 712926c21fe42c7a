from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from atpn_benchmarks.report.charts.bars import bars, groups
from atpn_benchmarks.report.charts.labels import Anchor, Box, place, text_width
from atpn_benchmarks.report.charts.marks import drift_class, short_title
from atpn_benchmarks.report.charts.roofs import roofline
from atpn_benchmarks.report.charts.scales import Scale, log_scale
from atpn_benchmarks.report.charts.scatter import Plot, scatter
from atpn_benchmarks.report.page import SIZES
from atpn_benchmarks.report.standing import standings
from atpn_benchmarks.results import Peaks, Run

FRAME = Box(0, 0, 400, 300)


def test_a_scale_maps_its_ends_and_its_middle() -> None:
    even = Scale(0, 10, 100, 200)
    assert [even(value) for value in (0, 5, 10)] == [100, 150, 200]
    factors = Scale(0.1, 10, 200, 100, logarithmic=True)
    assert [factors(value) for value in (0.1, 1, 10)] == [200, 150, 100]


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (Scale(0, 10.4, 0, 1), ["0", "5", "10"]),
        (Scale(0, 2.2, 0, 1), ["0", "0.5", "1", "1.5", "2"]),
        (Scale(0.3, 12, 0, 1, True), ["0.5", "1", "2", "5", "10"]),
        (Scale(0.001, 2000, 0, 1, True), ["0.001", "0.01", "0.1", "1", "10", "100", "1,000"]),
        (Scale(1.02, 2.5, 0, 1, True), ["1.5", "2"]),
    ],
)
def test_ticks_are_round(scale: Scale, texts: list[str]) -> None:
    assert [tick.text for tick in scale.ticks()] == texts


def test_one_value_or_none_still_makes_an_axis() -> None:
    for values in ([3.0], [], [0.0, math.nan]):
        scale = log_scale(values, 0, 100)
        assert scale.low < scale.high
        assert scale.ticks()


def crowd(count: int) -> list[Anchor]:
    return [Anchor(200 + 3 * n % 40, 150 + 7 * n % 40, 6, f"label {n}") for n in range(count)]


def test_labels_touch_neither_each_other_nor_points_nor_the_frame() -> None:
    anchors = crowd(12)
    placed = [label for label in place(anchors, (), FRAME, 12, far=True) if label]
    assert len(placed) >= 6
    points = [Box(a.x - 6, a.y - 6, a.x + 6, a.y + 6) for a in anchors]
    for label in placed:
        assert FRAME.holds(label.box)
        assert not any(label.box.touches(point) for point in points)
    for a, b in itertools.combinations(placed, 2):
        assert not a.box.touches(b.box)


def test_a_label_without_room_is_left_out() -> None:
    wide = Anchor(200, 150, 6, "w" * 80)
    assert place([wide], (), FRAME, 12, far=True) == (None,)


def test_a_label_that_stands_apart_has_a_line_to_its_point() -> None:
    anchor = Anchor(200, 150, 6, "label")
    near = Box(150, 100, 250, 138), Box(150, 162, 250, 200), Box(100, 100, 190, 200)
    (label,) = place([anchor], [*near, Box(210, 100, 235, 200)], FRAME, 12, far=True)
    assert label is None or label.line is not None
    (beside,) = place([anchor], (), FRAME, 12, far=True)
    assert beside is not None
    assert beside.line is None


def test_letters_of_other_scripts_are_wide() -> None:
    assert text_width("漢字", 12) > text_width("ab", 12)


@pytest.mark.parametrize("size", SIZES)
def test_the_scatter_shows_every_file_inside_its_frame(run: Run, size: tuple[float, float]) -> None:
    found = standings(run)
    chart = scatter(found, *size)
    assert [mark.name for mark in chart.marks] == [each.row.name for each in found]
    inside(chart)
    assert len(chart.labels) >= 10
    by_name = {mark.name: mark for mark in chart.marks}
    peer = by_name["mediapipe_face_landmark.tflite"]
    assert (peer.shape, peer.classes) == ("diamond", "mark peer")
    assert by_name["atpn-int8.tflite"].shape != by_name["atpn-lite-int8.tflite"].shape
    assert "best" in by_name["atpn-lite-int8.tflite"].classes.split()
    assert "hollow" in by_name["atpn-lite-align-int8.tflite"].classes.split()
    invalid = by_name["atpn-lite-int16x8.tflite"]
    assert "flawed" in invalid.classes.split()
    assert any("invalid" in line for line in invalid.tip)


def inside(chart: Plot) -> None:
    for mark in chart.marks:
        assert chart.frame.left <= mark.x <= chart.frame.right
        assert chart.frame.top <= mark.y <= chart.frame.bottom


def test_drift_has_the_colour_of_its_step() -> None:
    values = (8e-5, 0.0083, 0.157, 0.335, 7.7, math.nan)
    assert [drift_class(value) for value in values] == [
        *("drift-0", "drift-1", "drift-2", "drift-3", "drift-3", "drift-none"),
    ]


def test_the_front_line_goes_in_steps_from_fast_to_small(run: Run) -> None:
    chart = scatter(standings(run), *SIZES[0])
    corners = [tuple(map(float, p.split(","))) for p in chart.lines[0][1].split()]
    assert len(corners) == 3
    assert [x for x, _ in corners] == sorted(x for x, _ in corners)
    assert [y for _, y in corners] == sorted(y for _, y in corners)  # down is small


def test_float_stands_above_its_quantised_files(run: Run) -> None:
    for group in groups(standings(run)):
        if group[0].row.peer:
            assert len(group) == 1
            continue
        kinds = [each.row.target.split("-", 1)[1] for each in group]
        floats = [kind in ("fp32", "fp16") for kind in kinds]
        assert floats == sorted(floats, reverse=True)


@pytest.mark.parametrize("size", SIZES)
def test_bars_have_their_interval_and_their_value(run: Run, size: tuple[float, float]) -> None:
    chart = bars(standings(run), size[0])
    assert len(chart.bars) == 27
    for bar in chart.bars:
        assert bar.left < bar.low <= bar.right <= bar.high <= chart.width
        assert bar.value_x + text_width(bar.value, 12) <= chart.width
    tops = [bar.top for bar in chart.bars]
    assert tops == sorted(set(tops))
    peer = next(bar for bar in chart.bars if bar.name == "faceland98.tflite")
    assert peer.classes == "bar peer"


def test_the_roofline_holds_every_file_whose_work_is_known(run: Run) -> None:
    assert run.peaks is not None
    chart = roofline(standings(run), run.peaks, *SIZES[0])
    assert chart is not None
    inside(chart)
    assert {css for css, _ in chart.lines} == {
        *("roof roof-fp32", "roof roof-int8", "roof slope-cache", "roof slope-memory"),
    }
    shapes = {mark.name: mark.shape for mark in chart.marks}
    assert shapes["atpn-lite-int8.tflite"] == "square"
    assert shapes["atpn-lite-fp32.tflite"] == "circle"
    bare = tuple(replace(each, row=replace(each.row, cost=None)) for each in standings(run))
    assert roofline(bare, run.peaks, *SIZES[0]) is None


def test_without_a_roof_there_is_no_roofline(run: Run) -> None:
    none = Peaks(None, None, 88e9, None, {})
    assert roofline(standings(run), none, *SIZES[0]) is None
    flat = Peaks(52e9, None, None, None, {})
    chart = roofline(standings(run), flat, *SIZES[0])
    assert chart is not None
    assert [css for css, _ in chart.lines] == ["roof roof-fp32"]


def test_a_label_leaves_out_the_network_that_the_shape_says(run: Run) -> None:
    by_name = {each.row.name: short_title(each) for each in standings(run)}
    assert by_name["atpn-lite-int8.tflite"] == "TFLite int8"
    assert by_name["faceland98.tflite"] == "faceland98"
