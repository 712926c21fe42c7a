"""The paper's measures, held to values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.plots import cumulative
from atpn_deploy.metrics import (
    EYE_CORNERS,
    angle_errors_deg,
    area_under_ced,
    average_precision,
    failure_rate,
    inter_ocular,
    inter_pupil,
    normalised_mean_error,
    pose_error_deg,
    pose_failure_rate,
    precision_recall,
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


def few_digits(digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Random scores and labels; few digits give many equal scores."""
    rng = np.random.default_rng(digits)
    return rng.random(200).round(digits), rng.random(200) < 0.3


@pytest.mark.needs("sklearn")
@pytest.mark.parametrize("digits", [1, 2, 8])
def test_average_precision_is_scikit_learns(digits: int) -> None:
    from sklearn.metrics import average_precision_score

    scores, positive = few_digits(digits)
    expected = average_precision_score(positive, scores)
    assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)


@pytest.mark.needs("sklearn")
@pytest.mark.parametrize("digits", [1, 2, 8])
def test_precision_recall_curve_is_scikit_learns(digits: int) -> None:
    from sklearn.metrics import precision_recall_curve

    scores, positive = few_digits(digits)
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    curve = precision_recall(scores, positive)

    # Theirs ascends in threshold and ends in a point (1, 0) that no threshold belongs to.
    np.testing.assert_allclose(curve.thresholds[::-1], thresholds)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])


def test_precision_recall_by_hand() -> None:
    scores = np.array([0.2, 0.9, 0.5, 0.5])
    curve = precision_recall(scores, np.array([True, True, False, True]))
    assert curve.thresholds.tolist() == [0.9, 0.5, 0.2]
    assert curve.precision == pytest.approx([1, 2 / 3, 3 / 4])
    assert curve.recall == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_a_face_with_nan_is_never_found() -> None:
    positive = np.array([True, True, False, False])
    curve = precision_recall(np.array([0.9, np.nan, 0.1, 0.2]), positive)
    assert curve.recall.max() == 0.5
    assert curve.average_precision == pytest.approx(0.5)


def test_a_background_with_nan_is_always_a_false_alarm() -> None:
    positive = np.array([True, True, False, False])
    curve = precision_recall(np.array([0.9, 0.8, 0.1, np.nan]), positive)
    assert curve.precision.max() == pytest.approx(2 / 3)


def test_nan_everywhere_is_worth_nothing() -> None:
    assert average_precision(np.full(4, np.nan), np.array([True, True, False, False])) == 0


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_one_class_has_no_precision(positive: list[bool]) -> None:
    with pytest.raises(DatasetError, match="some of both kinds"):
        average_precision(np.linspace(0, 1, len(positive)), np.array(positive, bool))


@pytest.mark.parametrize(
    "figure",
    [failure_rate, area_under_ced, lambda e: pose_error_deg(e, e)],
    ids=["failure rate", "AUC", "pose"],
)
def test_nothing_measured_has_no_figure(figure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DatasetError, match="one at least"):
        figure(np.zeros((0, 3)))


def test_a_nan_adds_nothing_to_the_area_under_the_curve() -> None:
    assert area_under_ced(np.array([0.05, np.nan])) == pytest.approx(0.25)


def test_area_under_the_curve_is_the_area_of_the_plotted_curve() -> None:
    errors = np.random.default_rng(3).gamma(3, 0.02, 500)
    levels, percent = cumulative(errors, 0.1)
    area = float(np.sum(np.diff(levels) * percent[:-1])) / (0.1 * 100)
    assert area_under_ced(errors) == pytest.approx(area)


def test_inter_pupil_of_98_points_is_between_the_pupils() -> None:
    points = np.zeros((98, 2))
    points[97] = (3, 4)
    assert inter_pupil(points) == pytest.approx(5)


def test_inter_pupil_of_68_points_is_between_the_means_of_the_eyes() -> None:
    points = np.zeros((68, 2))
    points[36, 0] = -6  # one of six: the mean moves by 1
    points[42:48, 0] = 10
    assert inter_pupil(points) == pytest.approx(11)


def test_inter_ocular_of_68_points_is_between_36_and_45() -> None:
    points = np.zeros((68, 2))
    points[36], points[45] = (-3, 0), (0, 4)
    assert inter_ocular(points) == pytest.approx(5)


def test_another_markup_has_no_eyes() -> None:
    with pytest.raises(DatasetError, match="5 points; expected 98"):
        inter_ocular(np.zeros((1, 5, 2)))


def test_eyes_that_coincide_are_a_faulty_annotation() -> None:
    annotated = np.concatenate((face(), np.zeros((1, 98, 2))))
    with pytest.raises(DatasetError, match=r"annotation 1 has its eyes 0\.0 apart"):
        normalised_mean_error(annotated, annotated)


def test_nme_by_another_distance() -> None:
    error = normalised_mean_error(face() + 1, face(), np.array([np.sqrt(2) * 4]))
    assert error == pytest.approx([0.25])


def test_markups_are_not_mixed() -> None:
    with pytest.raises(DatasetError, match="same markup"):
        normalised_mean_error(np.zeros((1, 98, 2)), np.zeros((1, 68, 2)))


def test_angle_errors_keep_every_face() -> None:
    predicted = np.radians([[10, -20, 190], [-170, 0, 4 + 360]])
    annotated = np.radians([[0, 0, -170], [170, 0, 0]])
    expected = [[10, 20, 0], [20, 0, 4]]
    np.testing.assert_allclose(angle_errors_deg(predicted, annotated), expected, atol=1e-9)


def test_a_pose_fails_by_its_mean_error() -> None:
    errors = np.array([[30, 0, 0], [30, 1, 0], [9, 9, 9], [np.nan, 0, 0]])
    assert pose_failure_rate(errors) == 0.5  # exactly 10 degrees is no failure, NaN is
