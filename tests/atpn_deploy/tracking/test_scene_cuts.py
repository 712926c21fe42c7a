"""A cut is told from a flash, a pan and a fade."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.tracking.scene_cuts import SceneCuts


def scene(seed: int, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A smooth picture: a coarse random pattern enlarged."""
    coarse = np.random.default_rng(seed).uniform(20, 200, (6, 8, 3))
    rows = np.linspace(0, 5, shape[0]).astype(int)
    columns = np.linspace(0, 7, shape[1]).astype(int)
    return coarse[rows[:, None], columns].astype(np.uint8)


@pytest.mark.parametrize(
    ("before", "now", "cut"),
    [
        (scene(1), scene(2), True),
        (scene(1), scene(1), False),
        (scene(1), np.roll(scene(1), 5, axis=1), False),  # a pan
        (scene(1), (scene(1) // 2 + 127), False),  # a flash
        (scene(1), np.zeros((120, 160, 3), np.uint8), False),  # to black: no other scene yet
        (np.zeros((120, 160, 3), np.uint8), scene(2), False),
        (scene(1), scene(1, (240, 320)), False),  # the same picture, larger
    ],
)
def test_only_another_picture_is_a_cut(before: np.ndarray, now: np.ndarray, cut: bool) -> None:
    cuts = SceneCuts(0.4)

    assert not cuts.is_cut(before)
    assert cuts.is_cut(now) == cut


def test_minus_one_never_cuts() -> None:
    cuts = SceneCuts(-1)
    cuts.is_cut(scene(1))

    assert not cuts.is_cut(255 - scene(1))


def test_frames_of_one_pixel_are_no_error() -> None:
    cuts = SceneCuts(0.4)

    assert not cuts.is_cut(np.zeros((1, 1, 3), np.uint8))
    assert not cuts.is_cut(np.full((1, 1, 3), 255, np.uint8))
