from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atpn_deploy.crop import Box
from atpn_deploy.tracking.association import FURTHEST, LARGEST_RATIO, apart, matches


def at(x: float, y: float, side: float = 100) -> Box:
    """A square by its centre."""
    return Box(x - side / 2, y - side / 2, side)


def test_the_distance_is_that_of_the_centres_over_the_mean_side():
    assert apart(at(0, 0, 80), at(30, 40, 120)) == pytest.approx(0.5)
    assert apart(at(30, 40, 120), at(0, 0, 80)) == pytest.approx(0.5)
    assert apart(at(7, 8, 80), at(7, 8, 20)) == 0


def test_without_lost_or_found_faces_there_are_no_pairs():
    assert matches([], []) == []
    assert matches([at(0, 0)], []) == []
    assert matches([], [at(0, 0)]) == []


def test_the_nearest_pair_comes_first_and_each_index_once():
    lost = [at(0, 0), at(100, 0)]
    found = [at(58, 0), at(95, 0), at(500, 0)]

    assert matches(lost, found) == [(1, 1), (0, 0)]


def test_a_near_pair_takes_the_partner_of_a_farther_one():
    assert matches([at(0, 0), at(40, 0)], [at(30, 0)]) == [(1, 0)]


@pytest.mark.parametrize(("shift", "pairs"), [(FURTHEST * 100, 1), (FURTHEST * 100 + 0.1, 0)])
def test_too_far_is_another_face(shift, pairs):
    assert len(matches([at(0, 0)], [at(0, shift)])) == pairs


@pytest.mark.parametrize("ratio", [1 / LARGEST_RATIO, LARGEST_RATIO])
def test_too_large_or_too_small_is_another_face(ratio):
    further = ratio * (1.01 if ratio > 1 else 0.99)

    assert matches([at(0, 0)], [at(0, 0, 100 * ratio)]) == [(0, 0)]
    assert matches([at(0, 0)], [at(0, 0, 100 * further)]) == []


def test_of_equal_distances_the_first_in_the_lists_comes_first():
    assert matches([at(0, 0), at(0, 0)], [at(10, 0), at(-10, 0)]) == [(0, 0), (1, 1)]


boxes = st.lists(
    st.builds(at, st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 300)), max_size=8
)


@given(lost=boxes, found=boxes)
def test_every_pair_fits_and_no_two_left_over_would(lost, found):
    pairs = matches(lost, found)

    def fits(i: int, j: int) -> bool:
        sides = sorted((lost[i].side, found[j].side))
        return apart(lost[i], found[j]) <= FURTHEST and sides[1] <= LARGEST_RATIO * sides[0]

    rows, columns = {i for i, _ in pairs}, {j for _, j in pairs}
    assert len(rows) == len(columns) == len(pairs)
    assert all(fits(i, j) for i, j in pairs)
    left = [(i, j) for i in range(len(lost)) for j in range(len(found))]
    assert [p for p in left if p[0] not in rows and p[1] not in columns and fits(*p)] == []
