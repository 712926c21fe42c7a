"""Percentiles, intervals and rules: figures that can be worked out by hand, and seeded noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atpn_benchmarks.latency import Rules, Samples, medians, preempted, ratio, rounds_of, summarise
from atpn_benchmarks.results import Summary, Timing

MS = 1e-3
LAX = Rules(samples=1, seconds=0.0, width=9.0, preempted=1.0, slowing=9.0)


def noisy(seed: int, rounds: int = 50, burst: int = 10, per_round: float = 0.05) -> Samples:
    """About 1 ms: calls of a round share its luck, as they do on a shared machine."""
    rng = np.random.default_rng(seed)
    luck = 1 + per_round * rng.standard_normal((rounds, 1))
    return np.asarray((MS * luck * (1 + 0.01 * rng.standard_normal((rounds, burst)))).ravel())


def timing(wall_s: Samples, cpu_s: Samples | None = None, *, burst: int = 10) -> Timing:
    cpu_s = wall_s if cpu_s is None else cpu_s
    return Timing(1, 0.0, 0.0, 0, 0, burst, tuple(wall_s), tuple(cpu_s), None)


def summary(wall_s: Samples, cpu_s: Samples | None = None, **changed: Any) -> Summary:
    options = {"threads": 1, "burst": 10, "rules": LAX, **changed}
    made = summarise(wall_s, wall_s if cpu_s is None else cpu_s, **options)
    if made is None:
        raise ValueError("no sample")
    return made


def test_percentiles_are_those_of_the_samples() -> None:
    found = summary(MS * np.arange(1, 102))
    assert (found.p50_s, found.p95_s, found.p99_s) == pytest.approx((51 * MS, 96 * MS, 100 * MS))


def test_without_a_sample_there_is_no_summary() -> None:
    nothing = np.empty(0)
    assert summarise(nothing, nothing, threads=1, burst=1, rules=LAX) is None


def test_a_preempted_call_counts_for_no_percentile_but_is_told() -> None:
    wall_s, cpu_s = np.full(10, MS), np.full(10, MS)
    wall_s[3] = 20 * MS  # the processor worked for 1 ms of it
    found = summary(wall_s, cpu_s)
    assert found.p99_s == pytest.approx(MS)
    assert found.preempted == pytest.approx(0.1)


def test_a_call_that_is_slow_by_itself_is_kept() -> None:
    wall_s = np.full(10, MS)
    wall_s[3] = 20 * MS
    assert not preempted(wall_s, wall_s, 1).any()
    assert summary(wall_s).p99_s > 10 * MS


def test_waiting_of_several_threads_is_not_taken_for_preemption() -> None:
    assert not preempted(np.full(3, MS), np.full(3, MS / 2), 2).any()
    assert preempted(np.full(3, MS), np.full(3, MS / 2), 1).all()


def test_where_every_call_was_preempted_the_figures_still_stand_beside_the_verdict() -> None:
    found = summary(np.full(10, 2 * MS), np.full(10, MS), rules=Rules(1, 0.0))
    assert found.p50_s == pytest.approx(2 * MS)
    assert "100% of the calls were preempted (at most 50%)" in found.broken


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        (Rules(samples=501, seconds=0.0), "500 undisturbed samples (at least 501)"),
        (Rules(samples=1, seconds=0.6), "0.50 s of undisturbed samples (at least 0.6 s)"),
        (Rules(samples=1, seconds=0.0, width=0.001), "of the median is"),
    ],
)
def test_a_broken_rule_is_told_in_its_unit(rules: Rules, word: str) -> None:
    wall_s = noisy(0)
    [broken] = summary(wall_s / wall_s.mean() * MS, rules=rules).broken
    assert word in broken


def test_throttling_shows_as_a_slow_last_third() -> None:
    hot = noisy(1, per_round=0.001)
    hot[350:] *= 1.3
    [broken] = summary(hot, rules=Rules(1, 0.0, width=1.0)).broken
    assert "the last third was 30% slower than the first (at most 10%)" in broken


def test_quiet_samples_break_no_rule() -> None:
    assert summary(noisy(2, rounds=150), rules=Rules()).broken == ()


def test_a_result_that_is_not_a_number_is_never_valid() -> None:
    wall_s = noisy(3)
    wall_s[5] = np.nan
    assert summary(wall_s, wall_s, rules=Rules(1, 0.0)).broken


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """A bootstrap over single calls would miss it two times in three here: rounds share luck."""
    hits = 0
    for seed in range(100):
        found = summary(noisy(seed))
        hits += found.p50_low_s <= MS <= found.p50_high_s
    assert hits >= 88


def test_a_ratio_of_one_run_is_narrower_than_its_files() -> None:
    first = noisy(4)
    both = ratio(timing(1.2 * first), timing(first))
    assert both.value == pytest.approx(1.2)
    assert both.high - both.low < 0.001
    apart = ratio(timing(1.2 * first), timing(first), same_run=False)
    assert apart.high - apart.low > 0.02


def test_a_ratio_needs_samples_of_both() -> None:
    with pytest.raises(ValueError, match="needs samples of both"):
        ratio(timing(np.empty(0)), timing(noisy(0)))


def test_a_last_round_that_was_cut_short_counts_as_one() -> None:
    cut = timing(noisy(5)[:493])
    assert rounds_of(cut) == 50
    assert np.isfinite(medians(cut, seed=0)).all()


def test_rounds_of_nothing_but_preempted_calls_are_drawn_over() -> None:
    wall_s = noisy(6)
    cpu_s = wall_s.copy()
    wall_s[:490] *= 3  # one quiet round of fifty is left, and most redraws hold it not
    redrawn = medians(timing(wall_s, cpu_s), seed=0)
    assert redrawn.max() < 1.3 * MS
