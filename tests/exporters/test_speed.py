from __future__ import annotations

from collections.abc import Iterator

import pytest

from atpn_exporters.speed import Speed, compare_speed


class Machine:
    """A clock that only the two files under test move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def step(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def test_ratio_is_float_over_quantised() -> None:
    machine = Machine()
    speed = compare_speed(
        lambda: machine.step(0.002), lambda: machine.step(0.003), clock=machine.clock, rounds=20
    )
    assert speed.ratio == pytest.approx(1.5)
    assert speed.interval == pytest.approx((1.5, 1.5))


def test_every_round_gives_one_sample_of_each() -> None:
    machine = Machine()
    speed = compare_speed(
        lambda: machine.step(0.1), lambda: machine.step(0.1), clock=machine.clock, rounds=15
    )
    assert len(speed.quantised_s) == len(speed.float_s) == 15


def test_warmup_is_not_timed() -> None:
    machine = Machine()
    durations: Iterator[float] = iter([9.0] * 3 + [0.1] * 10)
    speed = compare_speed(
        lambda: machine.step(next(durations)),
        lambda: machine.step(0.1),
        clock=machine.clock,
        rounds=10,
        warmup=3,
    )
    assert max(speed.quantised_s) == pytest.approx(0.1)


def test_budget_ends_a_slow_comparison_but_not_before_ten_rounds() -> None:
    machine = Machine()
    speed = compare_speed(
        lambda: machine.step(5), lambda: machine.step(5), clock=machine.clock, budget_s=6
    )
    assert len(speed.float_s) == 10


@pytest.mark.parametrize(
    ("quantised", "floating", "said"),
    [
        (1.0, 2.0, "int8 is 2.00x faster"),
        (2.0, 1.0, "int8 is slower here, 2.00x the time, because XNNPACK does not take TANH"),
    ],
)
def test_verdict_says_which_is_faster_and_why(quantised: float, floating: float, said: str) -> None:
    verdict = Speed((quantised,) * 9, (floating,) * 9).verdict("int8", "XNNPACK does not take TANH")
    assert verdict.startswith(said)


def test_verdict_of_a_draw_claims_nothing() -> None:
    samples = (1.0, 1.1, 0.9, 1.05, 0.95)
    assert "as fast as float" in Speed(samples, samples).verdict("int8", "")
