"""One face: where it is looked for, how long it has proven to be one, and what the filter sees."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.crop import Box, box_around
from atpn_deploy.faces import Face
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.tracking.smoothing import LONGEST_GAP_S, FaceFilter
from atpn_deploy.tracking.track import FURTHEST_AHEAD, STILL, Track

SIDE = 120.0


def seen_at(x: float, y: float = 240, side: float = SIDE) -> Face:
    """A face by the centre and the side of its square."""
    size = side / 1.5
    landmarks = np.tile([(-0.5, -0.5), (0.5, 0.5)], (49, 1)) * size + (x, y)
    return Face(box_around(landmarks), landmarks, np.zeros(3), 0.9)


def born_at(x: float, y: float = 240, strength: str = "off") -> Track:
    return Track(1, seen_at(x, y), 0.0, FaceFilter(strength), StageTimes())


def centre(box: Box) -> tuple[float, float]:
    return box.left + box.side / 2, box.top + box.side / 2


def test_a_newborn_is_looked_for_where_it_is():
    assert centre(born_at(100).box_at(0.1)) == pytest.approx((100, 240))


def test_a_moving_face_is_looked_for_where_it_will_be():
    track = born_at(100)

    track.follow(seen_at(112, 234), 0.1)

    assert centre(track.box_at(0.2)) == pytest.approx((124, 228))
    assert centre(track.box_at(0.25)) == pytest.approx((130, 225))
    assert track.box_at(0.2).side == pytest.approx(SIDE)
    assert centre(track.box) == pytest.approx((112, 234))


def test_a_face_that_grows_in_place_does_not_move():
    track = born_at(100)

    track.follow(seen_at(100, side=1.3 * SIDE), 0.1)

    assert centre(track.box_at(0.2)) == pytest.approx((100, 240))


@pytest.mark.parametrize(("share", "moved_on"), [(0.9, 0.0), (1.1, 1.1)])
def test_what_moves_little_is_looked_for_where_it_was(share, moved_on):
    track, step = born_at(100), STILL * SIDE

    track.follow(seen_at(100 + share * step), 0.1)

    expected = 100 + share * step + moved_on * step
    assert centre(track.box_at(0.2))[0] == pytest.approx(expected)


def test_it_is_moved_on_by_half_its_side_at_most():
    track = born_at(100)

    track.follow(seen_at(100 + 0.9 * SIDE), 0.1)

    assert centre(track.box_at(0.2))[0] == pytest.approx(100 + (0.9 + FURTHEST_AHEAD) * SIDE)


@pytest.mark.parametrize("time_s", [0.1, 0.05, -3.0, 0.1 + LONGEST_GAP_S + 0.01])
def test_where_time_stands_goes_back_or_leaps_it_is_looked_for_where_it_was(time_s):
    track = born_at(100)

    track.follow(seen_at(130), 0.1)

    assert centre(track.box_at(time_s))[0] == pytest.approx(130)


@pytest.mark.parametrize("time_s", [0.0, -1.0])
def test_two_frames_of_one_time_give_no_speed(time_s):
    track = born_at(100)

    track.follow(seen_at(130), time_s)

    assert centre(track.box_at(time_s + 0.1))[0] == pytest.approx(130)


def test_a_lost_face_is_looked_for_where_it_was_tracked_last():
    track = born_at(100)
    track.follow(seen_at(130), 0.1)

    track.lose(seen_at(400))

    assert centre(track.box_at(0.2))[0] == pytest.approx(130)
    assert track.is_lost
    assert track.lost_for == 1


def test_the_longest_row_without_help_counts():
    track = born_at(100)
    for k in range(3):
        track.follow(seen_at(100), 0.1 * k)
    assert track.longest_row == 3

    track.lose(seen_at(100))
    track.found(seen_at(100), 0.4)
    track.follow(seen_at(100), 0.5)

    assert track.longest_row == 3
    for k in range(6, 9):
        track.follow(seen_at(100), 0.1 * k)
    assert track.longest_row == 4


def test_a_lost_face_is_told_as_it_was_and_as_it_is_seen():
    track = born_at(100)

    track.lose(seen_at(140))

    told = track.described()
    assert told.state == "lost"
    assert centre(told.face.box)[0] == pytest.approx(100)
    assert centre(told.seen.box)[0] == pytest.approx(140)


def test_the_filter_shows_another_face_and_the_next_crop_is_round_the_seen_one():
    track = born_at(100, strength="strong")

    track.follow(seen_at(105), 0.1)

    told = track.described()
    assert centre(told.seen.box)[0] == pytest.approx(105)
    assert centre(told.face.box)[0] < 104.9
    assert centre(track.box_at(0.2))[0] == pytest.approx(105)


@pytest.mark.parametrize("again", [Track.follow, Track.found])
def test_after_a_loss_the_filter_starts_anew(again):
    track = born_at(100, strength="strong")

    track.lose(seen_at(100))
    again(track, seen_at(150), 0.2)

    assert centre(track.described().face.box)[0] == pytest.approx(150)


def test_the_filter_s_time_is_counted():
    ticks = iter(range(100))
    times = StageTimes(lambda: float(next(ticks)))

    Track(1, seen_at(100), 0.0, FaceFilter("light"), times)

    assert times.seconds["filter"] == 1.0
    assert times.calls["filter"] == 1
