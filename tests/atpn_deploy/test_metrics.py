"""The paper's measures, held to values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.metrics import (
    EYE_CORNERS,
    area_under_ced,
    average_precision,
    failure_rate,
    inter_ocular,
    normalised_mean_error,
    pose_error_deg,
)


def face(ocular: float = 5.0) -> np.ndarray:
    """(1, 98, 2) with the outer eye corners `ocular` apart, as a 3-4-5 triangle."""
    points = np.zeros((1, 98, 2))
    points[0, EYE_CORNERS[1]] = np.array([3, 4]) * ocular / 5
    return points


def test_inter_ocular_is_the_distance_of_the_outer_eye_corners() -> None:
    assert inter_ocular(face(10.0)).tolist() == [10.0]


def test_nme_is_the_mean_distance_over_the_annotated_eye_distance() -> None:
    predicted = face()
    predicted[0, :49] += (6, 8)  # half of the points are off by 10, the eyes stand 5 apart
    assert normalised_mean_error(predicted, face()) == pytest.approx([1.0])


def test_failure_is_above_the_threshold_and_not_at_it() -> None:
    assert failure_rate(np.array([0.05, 0.1, 0.11, 0.5])) == 0.5


def test_a_nan_is_a_failure() -> None:
    assert failure_rate(np.array([0.05, np.nan])) == 0.5


def test_auc_is_the_area_under_the_cumulative_curve() -> None:
    errors = np.array([0.0, 0.02, 0.05, 0.3])
    # Share of faces within e: 1/4 from 0, 2/4 from 0.02, 3/4 from 0.05 to 0.1.
    area = (0.25 * 0.02 + 0.5 * 0.03 + 0.75 * 0.05) / 0.1
    assert area_under_ced(errors) == pytest.approx(area)


def test_pose_error_is_a_mean_per_axis_in_degrees() -> None:
    predicted = np.radians([[10, -20, 0], [30, 0, 4]])
    annotated = np.radians([[0, 0, 0], [0, 0, 0]])
    assert pose_error_deg(predicted, annotated) == pytest.approx([20, 10, 2])


def test_pose_error_goes_the_short_way_round() -> None:
    predicted, annotated = np.radians([[179.0, 0, 0]]), np.radians([[-179.0, 0, 0]])
    assert pose_error_deg(predicted, annotated) == pytest.approx([2, 0, 0])


def test_pose_error_is_never_negative() -> None:
    assert pose_error_deg(np.array([[9.0, 0, 0]]), np.zeros((1, 3))).min() >= 0


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 1.0),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], 1 / 2 * 1 + 1 / 2 * 2 / 3),
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 1], 1 / 4),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 1], 1 / 2),  # one threshold: no order to profit from
        ([0.9, 0.5, 0.5, 0.1], [0, 1, 0, 1], 1 / 2 * 1 / 3 + 1 / 2 * 2 / 4),
    ],
)
def test_average_precision_by_hand(
    scores: list[float], positive: list[int], expected: float
) -> None:
    result = average_precision(np.array(scores), np.array(positive, bool))
    assert result == pytest.approx(expected)


def test_average_precision_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    for digits in (1, 2, 8):  # few digits give many equal scores
        scores, positive = rng.random(200).round(digits), rng.random(200) < 0.3
        expected = metrics.average_precision_score(positive, scores)
        assert average_precision(scores, positive) == pytest.approx(expected)
