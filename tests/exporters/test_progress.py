from __future__ import annotations

import io

import pytest
from rich.console import Console

from atpn_exporters import progress
from atpn_exporters.progress import Bar, Step


class Clock:
    """Stands in for the time module."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stand_in = Clock()
    monkeypatch.setattr(progress, "time", stand_in)
    return stand_in


def test_log_has_one_line_a_step_with_the_time_left(clock: Clock) -> None:
    log = io.StringIO()
    with Bar(Console(file=log, width=80)) as bar:
        bar.plan([Step("convert", 30), Step("verify", 10)])
        bar.begin("convert")
        clock.now = 60.0  # twice as slow as typical
        bar.begin("verify")
    assert log.getvalue().splitlines() == [
        "[1/2] convert, about 40 s left",
        "[2/2] verify, about 20 s left",
    ]


def test_terminal_shows_a_bar_that_moves_within_a_step(clock: Clock) -> None:
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=100)) as bar:
        bar.plan([Step("convert", 30), Step("verify", 10)])
        bar.begin("convert")
        clock.now = 10.0
        bar.refresh()
        assert bar.fraction == pytest.approx(10 / 40)
        clock.now = 500.0  # far beyond the guess: never more than done
        bar.refresh()
        assert 0.9 < bar.fraction < 1
