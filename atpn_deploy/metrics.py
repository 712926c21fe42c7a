"""What the paper measures: NME, failure rate, AUC, pose error, average precision.

A prediction that is not a number is a failure everywhere and never a success: it is no point of a
cumulative curve, fails every threshold, and a face with such a score is never found. The mean of
errors among which one is not a number is not a number either. Nothing measured (no faces, one
class) raises DatasetError: there is no figure for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import OUTER_EYE_CORNERS, PUPILS

Floats = NDArray[np.floating[Any]]

#: Outer eye corners of the 98-point markup; their distance is the inter-ocular distance.
EYE_CORNERS = OUTER_EYE_CORNERS[98]

#: A face whose NME is above this share has failed, and the CED curve ends here (section 4.3.1).
NME_THRESHOLD = 0.1
#: A face whose mean error over the three angles is above this has failed (section 4.3.2).
POSE_THRESHOLD_DEG = 10.0


def inter_ocular(points: Floats) -> Floats:
    """(..., P, 2) to (...): distance between the outer eye corners, in the unit of the points.

    P is 98 (WFLW) or 68 (300W).
    """
    left, right = OUTER_EYE_CORNERS[_known_markup(points)]
    return np.asarray(np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1))


def inter_pupil(points: Floats) -> Floats:
    """(..., P, 2) to (...): distance between the pupils, in the unit of the points.

    The pupils are points 96 and 97 of 98; of 68 points each is the mean of its eye's six.
    """
    left, right = PUPILS[_known_markup(points)]
    apart = points[..., list(left), :].mean(-2) - points[..., list(right), :].mean(-2)
    return np.asarray(np.linalg.norm(apart, axis=-1))


def _known_markup(points: Floats) -> int:
    count = int(points.shape[-2])
    if count not in OUTER_EYE_CORNERS:
        raise DatasetError(f"a face has {count} points; expected 98 (WFLW) or 68 (300W)")
    return count


def normalised_mean_error(
    predicted: Floats, annotated: Floats, distance: Floats | None = None
) -> Floats:
    """(N, P, 2) twice to (N,): mean point distance over `distance` (equation 3), as a fraction.

    `distance` (N,) is the annotation's inter-ocular distance unless it is given. Raises
    DatasetError where one is zero or not a number.
    """
    if predicted.shape != annotated.shape:
        raise DatasetError(
            f"predicted points are {predicted.shape}, annotated ones {annotated.shape}; "
            "bring both to the same markup"
        )
    unit = inter_ocular(annotated) if distance is None else distance
    faulty = np.flatnonzero(~(np.asarray(unit) > 0))
    if len(faulty):
        raise DatasetError(
            f"annotation {faulty[0]} has its eyes {unit[faulty[0]]} apart; expected above 0"
        )
    return np.asarray(np.linalg.norm(predicted - annotated, axis=-1).mean(-1) / unit)


def failure_rate(errors: Floats, threshold: float = NME_THRESHOLD) -> float:
    """Share of errors (N,) above `threshold`."""
    _require_some(errors)
    return float(np.mean(~(errors <= threshold)))


def area_under_ced(errors: Floats, threshold: float = NME_THRESHOLD) -> float:
    """Area under the cumulative error curve from 0 to `threshold`, divided by `threshold`."""
    _require_some(errors)
    # A face contributes the part of the axis on which it counts as within: exact, no sampling.
    within = np.clip(1 - np.asarray(errors, np.float64) / threshold, 0, 1)
    return float(np.mean(np.where(np.isnan(within), 0, within)))


def angle_errors_deg(predicted: Floats, annotated: Floats) -> Floats:
    """(N, 3) radian twice to (N, 3): absolute error of each angle in degrees, the short way."""
    full_turn = 2 * np.pi
    difference = np.abs(predicted - annotated) % full_turn
    return np.asarray(np.degrees(np.minimum(difference, full_turn - difference)))


def pose_error_deg(predicted: Floats, annotated: Floats) -> Floats:
    """(N, 3) radian twice to (3,): mean absolute error of yaw, pitch and roll (equation 9)."""
    _require_some(annotated)
    return np.asarray(angle_errors_deg(predicted, annotated).mean(0))


def pose_failure_rate(errors_deg: Floats, threshold_deg: float = POSE_THRESHOLD_DEG) -> float:
    """Share of faces, (N, 3) degrees, whose mean error of the three angles is above threshold."""
    return failure_rate(errors_deg.mean(-1), threshold_deg)


@dataclass(frozen=True)
class PrecisionRecall:
    """One point a threshold, recall ascending."""

    precision: NDArray[np.float64]  # (K,) 0..1
    recall: NDArray[np.float64]  # (K,) 0..1
    thresholds: NDArray[np.float64]  # (K,) descending: a score at or above it counts as a face

    @property
    def average_precision(self) -> float:
        """Sum of precision times the step in recall, as scikit-learn defines it: no trapezoids."""
        return float(np.sum(np.diff(self.recall, prepend=0) * self.precision))


def precision_recall(scores: Floats, positive: NDArray[np.bool_]) -> PrecisionRecall:
    """Scores (N,) and what is a face (N,) to the curve over all thresholds.

    A score that is not a number never finds its face and is always a false alarm elsewhere.
    """
    faces = int(np.count_nonzero(positive))
    if not 0 < faces < len(positive):
        raise DatasetError(
            f"{faces} of {len(positive)} samples are faces; precision needs some of both kinds"
        )
    unusable = np.isnan(scores)
    usable = np.where(unusable, np.inf, scores)[~(unusable & positive)].astype(np.float64)
    hits = positive[~(unusable & positive)]
    order = np.argsort(-usable, kind="stable")
    found = np.cumsum(hits[order])
    # Equal scores form one threshold: read the curve at the last of each group.
    ranked = usable[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    precision = found / np.arange(1, len(found) + 1)
    return PrecisionRecall(precision[last], found[last] / faces, ranked[last])


def average_precision(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under precision over recall, as the step-wise sum that scikit-learn uses."""
    return precision_recall(scores, positive).average_precision


def _require_some(values: Floats) -> None:
    if len(values) == 0:
        raise DatasetError("there are no faces to measure on; expected one at least")
