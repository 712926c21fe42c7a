"""The interval of a movement between two runs holds what did not change, and little more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atpn_benchmarks.latency import REDRAWS
from atpn_benchmarks.movement import (
    ENOUGH,
    Move,
    RunToRun,
    beside,
    measured,
    move_of,
)
from atpn_benchmarks.results import Run

TRIALS = 400


def made(noise: np.random.Generator, *, own: float, samples: float, factor: float = 1.0) -> Move:
    """A move whose file moved by `own` and whose medians are known to `samples` (deviations)."""
    new = factor * float(np.exp(own * noise.standard_normal() + samples * noise.standard_normal()))
    return Move(1e-3, 1e-3 * new, math.log(new) + samples * noise.standard_normal(REDRAWS))


def still(factor: float = 1.0) -> Move:
    return Move(1e-3, 1e-3 * factor, np.full(REDRAWS, math.log(factor)))


@pytest.mark.parametrize(
    ("own", "samples", "files"),
    [(0.0, 0.004, 5), (0.01, 0.002, 4), (0.01, 0.002, 9), (0.003, 0.02, 6)],
)
def test_nineteen_of_twenty_unchanged_files_are_within_their_interval(
    own: float, samples: float, files: int
) -> None:
    inside = 0
    for trial in range(TRIALS):
        noise = np.random.default_rng(trial)
        reference = [made(noise, own=own, samples=samples) for _ in range(files)]
        spread = measured(reference)
        assert spread is not None
        ratio = beside(made(noise, own=own, samples=samples), reference, spread)
        inside += ratio.low <= 1.0 <= ratio.high

    assert 0.92 <= inside / TRIALS <= 0.98


def test_without_the_movement_from_run_to_run_far_more_seem_to_have_changed() -> None:
    """Why the samples' interval alone is not enough."""
    inside = 0
    for trial in range(TRIALS):
        noise = np.random.default_rng(trial)
        reference = [made(noise, own=0.01, samples=0.002) for _ in range(5)]
        ratio = beside(made(noise, own=0.01, samples=0.002), reference, RunToRun(0.0, "given"))
        inside += ratio.low <= 1.0 <= ratio.high

    assert inside / TRIALS < 0.5


def test_what_moved_all_files_is_divided_out() -> None:
    ratio = beside(still(1.2 * 1.08), [still(1.2), still(1.2)], RunToRun(0.0, "given"))

    assert ratio.value == pytest.approx(1.08)
    assert (ratio.low, ratio.high) == pytest.approx((1.08, 1.08))


def test_relative_to_nothing_nothing_is_divided_out() -> None:
    assert beside(still(1.2), (), RunToRun(0.0, "given")).value == pytest.approx(1.2)


@pytest.mark.parametrize(("others", "widened"), [(0, 1.0), (1, math.sqrt(2)), (4, math.sqrt(1.25))])
def test_a_given_movement_widens_the_interval(others: int, widened: float) -> None:
    ratio = beside(still(), [still()] * others, RunToRun(0.01, "given"))

    assert math.log(ratio.high) == pytest.approx(1.96 * 0.01 * widened, rel=0.05)
    assert math.log(ratio.low) == pytest.approx(-1.96 * 0.01 * widened, rel=0.05)


def test_few_files_say_little_of_how_far_files_move() -> None:
    """Student's distribution, and not the normal one: 4 files have 3 degrees of freedom."""
    few = beside(still(), [still()] * 4, RunToRun(0.01, "measured", 4))

    assert math.log(few.high) == pytest.approx(3.182 * 0.01 * math.sqrt(1.25), rel=0.05)


def test_the_noise_of_samples_is_not_counted_twice() -> None:
    noise = np.random.default_rng(0)
    reference = [made(noise, own=0.0, samples=0.01) for _ in range(50)]
    spread = measured(reference)
    assert spread is not None

    ratio = beside(made(noise, own=0.0, samples=0.01), reference, spread)

    assert math.log(ratio.high / ratio.low) / 2 == pytest.approx(2 * spread.share, rel=0.1)


def test_a_noisier_file_has_a_wider_interval() -> None:
    noise = np.random.default_rng(0)
    reference = [made(noise, own=0.0, samples=0.002) for _ in range(8)]
    spread = measured(reference)
    assert spread is not None

    ratio = beside(made(noise, own=0.0, samples=0.03), reference, spread)

    assert math.log(ratio.high / ratio.low) / 2 == pytest.approx(1.96 * 0.03, rel=0.1)


def test_fewer_than_enough_files_measure_nothing() -> None:
    assert measured([still()] * (ENOUGH - 1)) is None
    assert measured([still()] * ENOUGH) is not None


def test_a_move_is_new_over_old(run: Run, maker) -> None:
    slower = maker.run(2, slower={run.rows[0].name: 1.5})
    move = move_of(run.rows[0].timings[0], slower.rows[0].timings[0])

    assert math.exp(move.value) == pytest.approx(1.5, rel=0.02)
    assert np.exp(np.median(move.redrawn)) == pytest.approx(1.5, rel=0.02)
    assert move.redrawn.std() > 0


def test_files_of_one_run_share_their_redrawn_rounds(run: Run, maker) -> None:
    """A round that was slow for both files of a run cancels in their ratio."""
    other = maker.run(2)
    timing, later = run.rows[0].timings[0], other.rows[0].timings[0]
    move, twin = move_of(timing, later), move_of(timing, later)

    assert beside(move, [twin], RunToRun(0.0, "given")).high == pytest.approx(1.0)


def test_two_runs_are_redrawn_each_by_itself(run: Run) -> None:
    timing = run.rows[0].timings[0]

    assert move_of(timing, timing).redrawn.std() > 0
