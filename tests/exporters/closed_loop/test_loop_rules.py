"""Every rule of a closed loop fails once, and holds for a file that does as the reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from atpn_exporters.closed_loop.figures import Figures
from atpn_exporters.closed_loop.pairing import Pairing
from atpn_exporters.closed_loop.rules import RULES, Comparison, LoopLimits, judged
from atpn_exporters.limits import INT8_LIMITS, float32_limits

FRAMES = 60


@pytest.fixture
def watch(said):
    """`watch(reference, file)`: two functions of the frame's number to a list of faces."""

    def run(reference, file, frames: int = FRAMES) -> Comparison:
        pairing, figures = Pairing(), Figures()
        for k in range(frames):
            pairs = pairing.step(k, k / 25, said(*reference(k)), said(*file(k)))
            figures.add(k, k / 25, pairs)
        pairing.finish()
        return Comparison.of(frames, pairing, figures)

    return run


def broken(seen: Comparison) -> list[str]:
    return [verdict.rule.name for verdict in judged(seen, INT8_LIMITS) if not verdict.ok]


def test_a_file_like_the_reference_breaks_no_rule(watch, tracked) -> None:
    seen = watch(lambda k: [tracked(1, 100 + k)], lambda k: [tracked(3, 100 + k)])
    assert broken(seen) == []
    assert all(verdict.value == 0 for verdict in judged(seen, INT8_LIMITS))
    assert seen.jitter is not None
    assert seen.jitter.ratio == pytest.approx(1)


def test_drift_is_measured_in_pixels_percent_and_pixels_of_the_crop(watch, tracked) -> None:
    seen = watch(lambda k: [tracked(1, 100)], lambda k: [tracked(1, 103, 204)])
    assert seen.landmarks_px is not None
    assert seen.landmarks_px.median == pytest.approx(5)
    assert seen.landmarks_crop_px is not None
    assert seen.landmarks_crop_px.p95 == pytest.approx(5 * 112 / (80 * 1.5))
    assert seen.landmarks_percent is not None
    eyes = np.hypot((60 % 14 - 72 % 14) / 13, (60 // 14 - 72 // 14) / 6) * 80
    assert seen.landmarks_percent.largest == pytest.approx(500 / eyes)


@pytest.mark.parametrize(
    ("rule", "file"),
    [
        ("tracks lost", lambda tracked: lambda k: [] if k == 59 else [tracked(1)]),
        ("id switches", lambda tracked: lambda k: [tracked(1 if k < 59 else 2)]),
        ("faces found late", lambda tracked: lambda k: [] if k < 31 else [tracked(1)]),
        ("landmarks, median", lambda tracked: lambda k: [tracked(1, 200.9)]),
        ("pose, median", lambda tracked: lambda k: [tracked(1, yaw=7)]),
        ("growth of the drift", lambda tracked: lambda k: [tracked(1, 200 + (k > 42))]),
        (
            "jitter beyond the reference's",
            lambda tracked: lambda k: [tracked(1, 200 + 0.5 * (k % 2))],
        ),
    ],
)
def test_every_rule_fails_where_it_should_and_alone(watch, tracked, rule, file) -> None:
    assert broken(watch(lambda k: [tracked(1)], file(tracked))) == [rule]


def test_every_rule_has_a_failing_case() -> None:
    mark = next(
        mark
        for mark in test_every_rule_fails_where_it_should_and_alone.pytestmark
        if mark.name == "parametrize"
    )
    assert [case[0] for case in mark.args[1]] == [rule.name for rule in RULES]


@pytest.mark.parametrize("field", ["landmarks_crop_px", "pose_degrees", "growth_crop_px", "jitter"])
def test_what_is_not_a_number_is_not_ok(watch, tracked, field) -> None:
    seen = watch(lambda k: [tracked(1)], lambda k: [tracked(1)])
    value = getattr(seen, field)
    nan = float("nan")
    broken_value = (
        nan
        if isinstance(value, float)
        else dataclasses.replace(value, **dict.fromkeys(vars(value), nan))
    )
    assert len(broken(dataclasses.replace(seen, **{field: broken_value}))) == 1


@pytest.mark.parametrize(
    ("frames", "unmeasured"), [(14, 4), (15, 1), (29, 1), (30, 0)], ids=lambda value: str(value)
)
def test_a_face_followed_briefly_was_placed_by_the_detector(
    watch, tracked, frames, unmeasured
) -> None:
    seen = watch(lambda k: [tracked(1)], lambda k: [tracked(1, 220)], frames=frames)
    verdicts = judged(seen, INT8_LIMITS)
    assert sum(verdict.value is None for verdict in verdicts) == unmeasured
    assert all(verdict.ok for verdict in verdicts if verdict.value is None)


def test_jitter_is_the_change_of_motion_in_pixels_of_the_crop(watch, tracked) -> None:
    seen = watch(lambda k: [tracked(1, 200 + 3 * k)], lambda k: [tracked(1, 200 + 3 * k + k % 2)])
    assert seen.jitter is not None
    assert seen.jitter.reference_px == pytest.approx(0, abs=1e-9)
    assert seen.jitter.file_px == pytest.approx(2 * 112 / (80 * 1.5))


def test_jitter_needs_three_frames_without_a_gap(watch, tracked) -> None:
    gaps = watch(lambda k: [tracked(1)] if k % 3 else [], lambda k: [tracked(1, 200 + k % 2)])
    assert gaps.jitter is None
    assert gaps.landmarks_px is not None


def test_limits_are_those_of_one_crop_and_the_floor_of_rounding() -> None:
    assert LoopLimits.of(INT8_LIMITS) == LoopLimits(0.75, 2.25)
    assert LoopLimits.of(float32_limits()) == LoopLimits(0.1, 0.5)
