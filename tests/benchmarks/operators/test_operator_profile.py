from __future__ import annotations

import io

import pytest
from rich.console import Console

from atpn_benchmarks.operators.operator_profile import (
    OperatorProfile,
    by_kind,
    by_module,
    median_s,
    timed,
    whole_median_s,
)
from atpn_benchmarks.operators.operator_tables import profile_table, profile_values
from atpn_benchmarks.results import Delegation, OperatorTime

OPERATORS = (
    OperatorTime("full/low/a", "Convolution", "low.stem.conv", True, 30e-6, 3_000_000),
    OperatorTime("full/low/b", "Add (ND)", "low.stem", True, 10e-6),
    OperatorTime("full/head", "TANH", "", False, 5e-6),
)


def made(whole_s: float) -> OperatorProfile:
    return OperatorProfile(
        "a.tflite",
        "full",
        "LiteRT 2.3.0",
        "xnnpack",
        "by its own clock",
        1,
        200,
        whole_s,
        OPERATORS,
        Delegation(1, 4, {"TANH": 1}, 0),
    )


def text(profile: OperatorProfile, by: str) -> str:
    written = io.StringIO()
    Console(file=written, width=100).print(profile_table(profile, by))
    return " ".join(written.getvalue().split())


def test_whole_microseconds_are_rounded_down_by_a_half():
    assert median_s([7, 7, 7], 1) == pytest.approx(7.5e-6)
    assert median_s([20, 20], 2) == pytest.approx(21e-6)
    assert median_s([5, 9], 0) == 0


def test_what_lies_between_two_microseconds_is_told_by_their_shares():
    mostly_one, mostly_two = [1] * 8 + [2] * 2, [1] * 2 + [2] * 8
    assert 1.4e-6 < median_s(mostly_one, 1) < 2e-6 < median_s(mostly_two, 1) < 2.6e-6


def test_preempted_runs_do_not_count_towards_the_whole():
    runs = [(1.0, 1.0), (1.2, 1.2), (9.0, 1.0), (9.0, 1.1)]
    assert whole_median_s(runs, 1) == pytest.approx(1.1)


def test_where_nearly_all_are_preempted_the_processors_time_counts():
    runs = [(1.0, 1.0)] + [(3.0, 1.4)] * 20
    assert whole_median_s(runs, 1) == 1.4
    assert whole_median_s(runs, 2) == 3.0  # the other threads' time is not known


def test_waiting_is_no_time_on_the_processor():
    import time

    wall, processor = timed(lambda: time.sleep(0.02))
    assert processor < 0.5 * wall


def test_operators_add_up_by_module():
    groups = by_module(OPERATORS)
    assert [(g.name, g.operators, g.macs) for g in groups] == [
        ("low.stem", 2, 3_000_000),
        ("", 1, 0),
    ]
    assert groups[0].median_s == pytest.approx(40e-6)
    assert [g.name for g in by_module(OPERATORS, depth=1)] == ["low", ""]


def test_operators_add_up_by_kind():
    assert [(g.name, g.operators) for g in by_kind((*OPERATORS, OPERATORS[1]))] == [
        ("Convolution", 1),
        ("Add (ND)", 2),
        ("TANH", 1),
    ]
    assert "Add (ND) 1" in text(made(60e-6), "kind")


def test_a_table_shows_rates_and_never_hides_what_the_sum_misses():
    shown = text(made(60e-6), "operator")
    assert "100.0" in shown  # 3 million multiply-adds in 30 us
    assert "75.0% of it, 5.0 us missing an operator" in shown
    assert "1 XNNPACK partition, outside of it: TANH, 0 transposes" in shown
    assert "25.0% of it" not in shown


def test_a_sum_above_the_whole_says_so():
    assert "112.5% of it, 1.7 us too much an operator" in text(made(40e-6), "module")


def test_values_hold_the_sum_the_whole_and_the_modules():
    values = profile_values(made(60e-6))
    assert values["sum_s"] == pytest.approx(45e-6)
    assert values["sum_to_whole"] == pytest.approx(0.75)
    assert values["modules"][0]["name"] == "low.stem"
    assert values["operators"][0]["macs"] == 3_000_000
    assert values["delegation"]["undelegated"] == {"TANH": 1}
