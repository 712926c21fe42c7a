from __future__ import annotations

import sys

import numpy as np
import pytest

from atpn_deploy.crop import box_around
from atpn_deploy.draw import AXIS_COLOURS, PARTS, annotate, draw_axes, label_of
from atpn_deploy.errors import MissingToolError
from atpn_deploy.faces import Face

pytestmark = pytest.mark.needs("opencv")
pytest.importorskip("PIL", reason="Pillow is not at hand")


def face(centre: tuple[float, float], side: float, confidence: float = 0.93) -> Face:
    """98 points on a spiral of that size."""
    turn = np.linspace(0, 6 * np.pi, 98)
    radius = np.linspace(0.1, 0.5, 98) * side
    points = np.stack((np.cos(turn), np.sin(turn)), -1) * radius[:, None] + centre
    return Face(box_around(points), points, np.radians((12.4, -3.2, 5.6)), confidence)


def test_the_parts_cover_each_point_once():
    covered = [i for first, last, _, _ in PARTS for i in range(first, last + 1)]

    assert covered == list(range(98))


@pytest.mark.parametrize("background", [0, 128, 255])
@pytest.mark.parametrize("side", [20, 200, 900])
def test_every_point_is_seen_on_any_background(background, side):
    image = np.full((side * 2, side * 2, 3), background, np.uint8)
    drawn = face((side, side), side)

    picture = annotate(image, [drawn])

    changed = np.abs(picture.astype(int) - image).max(-1) > 30
    at = np.floor(drawn.landmarks).astype(int)
    assert changed[at[:, 1], at[:, 0]].mean() > 0.9
    assert (image == background).all()  # the photograph itself is left alone


def test_what_is_drawn_grows_with_the_face():
    def share(side: int) -> float:
        image = np.full((side * 2, side * 2, 3), 128, np.uint8)
        return float((annotate(image, [face((side, side), side)]) != image).any(-1).mean())

    assert share(2000) == pytest.approx(share(1000), rel=0.25)


def test_the_front_axis_is_red_and_points_left_for_positive_yaw():
    canvas = np.zeros((200, 200, 3), np.uint8)

    draw_axes(canvas, np.array([1.2, 0, 0]), np.array([100.0, 100.0]), 80)

    red = np.argwhere((canvas == AXIS_COLOURS[0]).all(-1))
    blue = np.argwhere((canvas == AXIS_COLOURS[1]).all(-1))
    green = np.argwhere((canvas == AXIS_COLOURS[2]).all(-1))
    assert red[:, 1].min() < 30
    assert blue[:, 0].min() < 30
    assert green[:, 1].max() > 120


def test_an_axis_at_the_viewer_is_a_dot():
    canvas = np.zeros((200, 200, 3), np.uint8)

    draw_axes(canvas, np.zeros(3), np.array([100.0, 100.0]), 80)

    red = np.argwhere((canvas == AXIS_COLOURS[0]).all(-1))
    assert np.abs(red - 100).max() < 8


def test_faces_over_the_border_and_far_outside_are_drawn_without_error():
    image = np.full((60, 80, 3), 90, np.uint8)
    faces = [face((0, 0), 50), face((80, 60), 500), face((1e6, -1e6), 40)]

    picture = annotate(image, faces)

    assert picture.shape == image.shape
    assert (picture != image).any()


def test_a_picture_of_one_pixel_can_be_annotated():
    assert annotate(np.zeros((1, 1, 3), np.uint8), [face((0, 0), 30)]).shape == (1, 1, 3)


def test_without_faces_the_photograph_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)

    assert np.array_equal(annotate(image, []), image)


def test_the_label_is_in_percent_and_degrees():
    assert label_of(face((0, 0), 200)) == "93%   yaw +12°  pitch -3°  roll +6°"


def test_a_small_faces_label_leaves_its_neighbours_visible():
    assert label_of(face((0, 0), 20)) == "93%"


@pytest.mark.parametrize("absent", ["cv2", "PIL"])
def test_without_its_libraries_drawing_gives_the_pip_line(monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, f"{absent}.Image", raising=False)

    with pytest.raises(MissingToolError, match=r"pip install .*atpn-deploy\[track\]"):
        annotate(np.zeros((40, 40, 3), np.uint8), [])
