"""What the paper measures: NME, failure rate, AUC, pose error, average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: Outer eye corners of the 98-point markup; their distance is the inter-ocular distance.
EYE_CORNERS = (60, 72)


def inter_ocular(points: Floats) -> Floats:
    """(..., 98, 2) to (...): distance between the outer eye corners, in the unit of the points."""
    left, right = EYE_CORNERS
    return np.asarray(np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1))


def normalised_mean_error(predicted: Floats, annotated: Floats) -> Floats:
    """(N, 98, 2) twice to (N,): mean point distance over the inter-ocular distance (equation 3)."""
    distance = np.linalg.norm(predicted - annotated, axis=-1).mean(-1)
    return np.asarray(distance / inter_ocular(annotated))


def failure_rate(errors: Floats, threshold: float = 0.1) -> float:
    """Share of errors above `threshold`."""
    return float(np.mean(~(errors <= threshold)))


def area_under_ced(errors: Floats, threshold: float = 0.1) -> float:
    """Area under the cumulative error curve from 0 to `threshold`, divided by `threshold`."""
    return float(np.mean(np.clip(1 - errors / threshold, 0, 1)))


def pose_error_deg(predicted: Floats, annotated: Floats) -> Floats:
    """(N, 3) radian twice to (3,): mean absolute error of yaw, pitch and roll in degrees."""
    difference = np.abs(predicted - annotated)
    wrapped = np.minimum(difference, np.abs(2 * np.pi - difference))
    return np.asarray(np.degrees(wrapped).mean(0))


def average_precision(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under precision over recall, as the step-wise sum that scikit-learn uses."""
    order = np.argsort(-scores, kind="stable")
    hits = positive[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    # Equal scores form one threshold: read both curves at the last of each group.
    last = np.append(np.diff(scores[order]) != 0, True)
    recall = np.cumsum(hits)[last] / hits.sum()
    return float(np.sum(np.diff(recall, prepend=0) * precision[last]))
