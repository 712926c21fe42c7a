from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.crop import box_around
from atpn_deploy.draw_tracks import DIM, ID_COLOURS, annotate_tracks, track_label
from atpn_deploy.faces import Face
from atpn_deploy.tracking.frame_faces import State, TrackedFace

pytestmark = pytest.mark.needs("opencv")
pytest.importorskip("PIL", reason="Pillow is not at hand")


def tracked(
    id: int, centre: tuple[float, float], side: float, state: State = "tracked"
) -> TrackedFace:
    turn = np.linspace(0, 6 * np.pi, 98)
    radius = np.linspace(0.1, 0.5, 98) * side
    points = np.stack((np.cos(turn), np.sin(turn)), -1) * radius[:, None] + centre
    face = Face(box_around(points), points, np.radians((12.4, -3.2, 5.6)), 0.93)
    return TrackedFace(id, state, face, face, 1)


def image(width: int = 400, height: int = 300) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def shows(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(-1) <= 3).any())


def test_a_tracked_face_is_drawn_in_the_colour_of_its_id():
    canvas = image()

    one = annotate_tracks(canvas, [tracked(2, (200, 150), 120)])
    other = annotate_tracks(canvas, [tracked(3, (200, 150), 120)])

    assert shows(one, ID_COLOURS[1])
    assert not shows(one, ID_COLOURS[2])
    assert shows(other, ID_COLOURS[2])
    assert (canvas == 90).all()  # the frame itself is left alone


def test_a_lost_face_is_a_dim_empty_square():
    lost = tracked(2, (200, 150), 120, "lost")

    picture = annotate_tracks(image(), [lost])

    box = lost.face.box
    inside = picture[int(box.top) + 30 : int(box.top + box.side) - 8, 130:270]
    assert (inside == 90).all()
    assert shows(picture, DIM)
    assert not shows(picture, ID_COLOURS[1])
    right = round(box.left + box.side)
    edge = picture[int(box.top) + 8 : int(box.top + box.side) - 8, right - 3 : right + 3]
    drawn = (edge != 90).any((1, 2))
    assert 0.3 < drawn.mean() < 0.8  # dashed


def test_a_label_says_who_and_how_it_stands():
    assert track_label(tracked(12, (0, 0), 40)) == "12   93%"
    assert track_label(tracked(12, (0, 0), 40, "lost")) == "12   lost"


def test_200_faces_over_all_borders_and_far_outside_are_drawn():
    rng = np.random.default_rng(0)
    faces = [
        tracked(k + 1, tuple(rng.uniform(-50, 450, 2)), rng.uniform(8, 200), state)
        for k in range(100)
        for state in ("tracked", "lost")
    ]
    far = [tracked(201, (1e6, -1e6), 40), tracked(202, (-1e7, 1e7), 1e6, "lost")]

    picture = annotate_tracks(image(), [*faces, *far])

    assert picture.shape == (300, 400, 3)
    assert (picture != 90).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 1)])
def test_the_smallest_frames_can_be_annotated(size: tuple[int, int]):
    canvas = image(*size)

    assert annotate_tracks(canvas, [tracked(1, (0, 0), 30)]).shape == canvas.shape
