from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.detectors.suppression import best_of_each, mean_of_each, overlaps

#: Two boxes on one face, a better one apart from them, and one that only touches the first.
BOXES = np.array([[50, 50, 40, 20], [52, 50, 40, 20], [200, 80, 30, 30], [90, 50, 40, 20]], float)
SCORES = np.array([0.6, 0.8, 0.9, 0.5])


def test_overlap_is_intersection_over_union():
    assert overlaps(BOXES[0], BOXES) == pytest.approx([1, 38 / 42, 0, 0])


def test_the_best_box_of_each_face_stays():
    assert best_of_each(BOXES, SCORES, 0.3).tolist() == BOXES[[2, 1, 3]].tolist()


def test_a_box_at_the_limit_stays():
    assert len(best_of_each(BOXES[:2], SCORES[:2], 38 / 42)) == 2
    assert len(best_of_each(BOXES[:2], SCORES[:2], 38 / 42 - 1e-9)) == 1


def test_of_equal_scores_the_earlier_box_stays():
    assert best_of_each(BOXES[:2], np.ones(2), 0.3).tolist() == BOXES[:1].tolist()


def test_the_boxes_of_a_face_are_averaged_by_their_scores():
    merged = mean_of_each(BOXES, SCORES, 0.3)

    x = (0.6 * 50 + 0.8 * 52) / 1.4
    assert merged == pytest.approx(np.array([[200, 80, 30, 30], [x, 50, 40, 20], [90, 50, 40, 20]]))


@pytest.mark.parametrize("merge", [best_of_each, mean_of_each])
def test_no_boxes_and_boxes_without_area_are_taken(merge):
    assert merge(np.zeros((0, 4)), np.zeros(0), 0.3).shape == (0, 4)
    assert len(merge(np.array([[5, 5, 0, 0], [5, 5, 0, 0]], float), np.ones(2), 0.3)) == 2


def test_it_is_opencvs_suppression():
    cv2 = pytest.importorskip("cv2", reason="opencv is not at hand")
    rng = np.random.default_rng(1)
    boxes = np.column_stack((rng.uniform(0, 200, (300, 2)), rng.uniform(10, 80, (300, 2))))
    scores = (rng.permutation(300) + 1) / 300
    corners = np.column_stack((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]))

    theirs = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, 0.3)

    assert best_of_each(boxes, scores, 0.3) == pytest.approx(boxes[theirs])
    assert 20 < len(theirs) < 280
