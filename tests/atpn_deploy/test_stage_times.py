from __future__ import annotations

import pytest

from atpn_deploy.stage_times import STAGES, StageTimes


class Clock:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_stage_adds_up_over_its_calls():
    clock = Clock()
    times = StageTimes(clock)

    for taken in (1.0, 2.5):
        began = times.clock()
        clock.now += taken
        assert times.add("crop", began) == clock.now

    assert times.seconds["crop"] == 3.5
    assert times.calls["crop"] == 2
    assert times.total == 3.5
    assert times.calls["infer"] == 0


def test_one_stage_begins_where_the_other_ends():
    clock = Clock()
    times = StageTimes(clock)

    began = times.clock()
    clock.now = 3.0
    began = times.add("crop", began)
    clock.now = 10.0
    times.add("infer", began)

    assert (times.seconds["crop"], times.seconds["infer"]) == (3.0, 7.0)


def test_a_body_that_fails_is_counted():
    clock = Clock()
    times = StageTimes(clock)

    def fails() -> None:
        clock.now = 4.0
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), times.measured("decode"):
        fails()

    assert times.seconds["decode"] == 4.0
    assert times.calls["decode"] == 1


def test_a_stage_that_does_not_exist_is_an_error():
    with pytest.raises(KeyError):
        StageTimes().count("dream", 1.0)


def test_the_stages_are_in_the_order_in_which_a_frame_passes_them():
    assert tuple(StageTimes().seconds) == STAGES
    assert STAGES.index("crop") < STAGES.index("infer") < STAGES.index("filter")
