"""A stage's numbers: schedules, steps, and what is no stage."""

from __future__ import annotations

import pytest

from atpn_deploy.errors import ConfigError
from atpn_deploy.training.stages import Decay, Stage


def test_the_rate_warms_up_and_falls_to_nothing_as_a_cosine() -> None:
    plan = Stage(1, 32 * 1000, learning_rate=1.0)
    assert plan.steps == 1000
    assert plan.rate(0, 100) == pytest.approx(1 / 30)
    assert plan.rate(29, 100) == pytest.approx(1)
    assert plan.rate(30, 100) == pytest.approx(1)
    assert plan.rate(30 + 485, 100) == pytest.approx(0.5)
    assert 0 < plan.rate(999, 100) < 1e-5


def test_the_paper_s_rate_falls_by_a_share_after_every_few_epochs() -> None:
    plan = Stage(1, 10_000, batch_size=10, learning_rate=1.0, schedule=Decay(0.03, 4))
    epoch = 5  # steps, on 50 faces
    assert [plan.rate(step, 50) for step in (0, 4 * epoch - 1)] == [1, 1]
    assert plan.rate(4 * epoch, 50) == pytest.approx(0.97)
    assert plan.rate(8 * epoch - 1, 50) == pytest.approx(0.97)
    assert plan.rate(12 * epoch, 50) == pytest.approx(0.97**3)


def test_backgrounds_are_not_counted_into_an_epoch() -> None:
    plan = Stage(
        2, 10_000, batch_size=10, learning_rate=1.0, schedule=Decay(0.5, 1), negative_share=0.5
    )
    assert [plan.rate(step, 50) for step in (9, 10)] == [1, 0.5]  # 5 faces a step


def test_a_batch_that_is_not_full_is_no_step() -> None:
    assert Stage(1, 99, batch_size=10).steps == 9


def test_less_than_a_batch_is_no_training() -> None:
    with pytest.raises(ConfigError, match="9 samples are less than one batch of 10"):
        Stage(1, 9, batch_size=10)


@pytest.mark.parametrize("number", [0, 4])
def test_there_are_three_stages(number: int) -> None:
    with pytest.raises(ConfigError, match=f"no stage {number}; choose 1, 2 or 3"):
        Stage(number, 100)
