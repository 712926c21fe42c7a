"""The spread of ratios over runs, by figures that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atpn_benchmarks.repeatability import repeated
from atpn_benchmarks.results import (
    SCHEMA,
    Conditions,
    Machine,
    Row,
    Run,
    Settings,
    Summary,
    Timing,
)
from atpn_deploy.errors import ResultsError

MACHINE = Machine("CPU", "x86_64", 2, 2**30, (), "Linux", "glibc", "3.11")


def row(name: str, p50_s: float) -> Row:
    summary = Summary(p50_s, p50_s, p50_s, p50_s, p50_s, p50_s, 0.0, ())
    timing = Timing(1, 0.0, 0.0, 0, 0, 1, (p50_s,), (p50_s,), summary)
    return Row(name, name, "", name, "", True, "timed", timings=(timing,))


def run(*times_s: float) -> Run:
    state = Conditions("", None, None)
    settings = Settings((1,), (0,), 10, 200, 1.0, 0)
    rows = tuple(row(name, p50_s) for name, p50_s in zip("abc", times_s, strict=False))
    return Run(
        SCHEMA, "id", "", 1.0, "local", "1", MACHINE, settings, state, state, None, 0.0, rows
    )


def test_times_may_move_while_ratios_stay() -> None:
    [found] = repeated([run(1.0, 2.0), run(1.5, 3.0), run(1.2, 2.52)], "a")
    assert found.name == "b"
    assert found.time_spread == pytest.approx(1 - 2.0 / 2.52)  # the median is 2.52
    assert found.ratio_spread == pytest.approx(0.05)  # 2.1 beside 2


def test_a_row_that_a_run_lacks_is_left_out() -> None:
    assert [each.name for each in repeated([run(1.0, 2.0, 3.0), run(1.0, 2.0)], "a")] == ["b"]


def test_what_cannot_be_held_together_is_refused() -> None:
    one = run(1.0, 2.0)
    with pytest.raises(ResultsError, match="takes two or more"):
        repeated([one], "a")
    with pytest.raises(ResultsError, match="has not timed z; it has a, b"):
        repeated([one, one], "z")
    other = replace(one, machine=replace(MACHINE, cpu="other"))
    with pytest.raises(ResultsError, match="different machines"):
        repeated([one, other], "a")
