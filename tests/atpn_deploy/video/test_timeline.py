"""Times of frames from stamps that repeat, jump or are absent."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atpn_deploy.video.timeline import Timeline

PERIOD = Fraction(1, 25)


def placed(*stamps: float | None) -> list[float]:
    timeline = Timeline(PERIOD)
    return [timeline.place(None if s is None else Fraction(s).limit_denominator()) for s in stamps]


def test_sound_stamps_come_through_from_the_first_on() -> None:
    assert placed(1.4, 1.45, 1.51, 3) == [0.0, 0.05, 0.11, 1.6]


def test_without_stamps_the_rate_counts() -> None:
    assert placed(None, None, None) == [0.0, 0.04, 0.08]


def test_one_absent_stamp_disturbs_no_other() -> None:
    assert placed(0, 0.03, None, 0.11) == [0.0, 0.03, 0.07, 0.11]


def test_a_repeated_stamp_disturbs_no_other() -> None:
    assert placed(0, 0.04, 0.04, 0.08, 0.12) == [0.0, 0.04, 0.06, 0.08, 0.12]


def test_a_second_recording_follows_the_first() -> None:
    assert placed(0, 0.5, 1, 0, 0.5, 1) == [0.0, 0.5, 1.0, 1.04, 1.54, 2.04]


def test_a_third_follows_the_second() -> None:
    assert placed(7, 8, 0, 1, 0, 1) == [0.0, 1.0, 1.04, 2.04, 2.08, 3.08]


stamps = st.none() | st.floats(-1000, 1000)


@given(st.lists(stamps, min_size=2, max_size=30))
def test_times_always_rise(values: list[float | None]) -> None:
    times = placed(*values)

    assert times[0] == 0
    assert all(earlier < later for earlier, later in pairwise(times))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=30, unique=True))
def test_rising_stamps_are_exact(ticks: list[int]) -> None:
    ticks.sort()
    timeline = Timeline(PERIOD)
    times = [timeline.place(Fraction(tick, 90_000)) for tick in ticks]

    assert times == pytest.approx([(tick - ticks[0]) / 90_000 for tick in ticks], rel=1e-15)
