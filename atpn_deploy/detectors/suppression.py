"""Many boxes on one face become one: the best of them, or their weighted mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def best_of_each(boxes: Floats, scores: Floats, iou: float) -> Floats:
    """Of (N, 4) boxes (centre x, y, width, height) those with no better one above this IoU.

    (M, 4), best first. Of equal scores the earlier box counts as the better one.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        kept.append(left[0])
        left = left[1:][overlaps(boxes[left[0]], boxes[left[1:]]) <= iou]
    return boxes[np.array(kept, np.intp)]


def mean_of_each(boxes: Floats, scores: Floats, iou: float) -> Floats:
    """The best of (N, 4) boxes with all that lie on it above this IoU, by score: their mean; so on.

    (M, 4), best first. This is how MediaPipe steadies its boxes from frame to frame.
    """
    left = np.argsort(-scores, kind="stable")
    means = []
    while len(left):
        same = overlaps(boxes[left[0]], boxes[left]) > iou
        same[0] = True  # a box without area lies on nothing, not even on itself
        of_face = left[same]
        means.append(np.average(boxes[of_face], axis=0, weights=scores[of_face]))
        left = left[~same]
    return np.array(means, np.float64).reshape(-1, 4)


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box (centre x, y, width, height) with each of (N, 4): (N,)."""
    low = np.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    shared = np.maximum(high - low, 0).prod(1)
    together = box[2:].prod() + boxes[:, 2:].prod(1) - shared
    return np.asarray(shared / np.maximum(together, np.finfo(np.float64).tiny), np.float64)
