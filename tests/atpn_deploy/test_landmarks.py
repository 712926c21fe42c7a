"""The markups: which points are the eyes, and which WFLW point stands for each of 300W's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.landmarks import OUTER_EYE_CORNERS, POINTS_68_OF_98, PUPILS, as_68


def test_every_68_point_has_a_98_point_of_its_own() -> None:
    assert len(POINTS_68_OF_98) == len(set(POINTS_68_OF_98)) == 68


def test_outer_eye_corners_are_the_same_points_in_both_markups() -> None:
    mapped = tuple(POINTS_68_OF_98[i] for i in OUTER_EYE_CORNERS[68])
    assert mapped == OUTER_EYE_CORNERS[98]


@pytest.mark.needs("torch")
def test_the_map_commutes_with_mirroring() -> None:
    from atpn_deploy.mean_shape import mirror_map

    of_98, of_68 = mirror_map(98), mirror_map(68)
    assert [of_98[i] for i in POINTS_68_OF_98] == [POINTS_68_OF_98[i] for i in of_68]


@pytest.mark.needs("torch")
def test_each_mean_68_point_is_nearest_to_its_98_point() -> None:
    from atpn_deploy.mean_shape import mean_shape

    apart = np.linalg.norm(mean_shape(68).numpy()[:, None] - mean_shape(98).numpy(), axis=-1)
    pupils = [i for pupil in PUPILS[98] for i in pupil]
    apart[:, pupils] = np.inf
    assert apart.argmin(1).tolist() == list(POINTS_68_OF_98)


def test_annotated_68_points_are_the_98_ones_but_for_the_eyelids(shared_data: Path) -> None:
    labels = np.load(shared_data / "wflw_annotations" / "wflw_test_annotations.npz")
    original = labels["is_original98"]
    points, projected = labels["pts98"][original], labels["pts68"][original]
    ocular = np.linalg.norm(points[:, 60] - points[:, 72], axis=-1)[:, None]
    share = np.median(np.linalg.norm(as_68(points) - projected, axis=-1) / ocular, 0)

    assert np.flatnonzero(share > 1e-4).tolist() == [37, 38, 40, 41, 43, 44, 46, 47]
    assert share.max() < 0.025


def test_68_points_stay_as_they_are() -> None:
    points = np.arange(136.0).reshape(1, 68, 2)
    assert as_68(points) is points
