from __future__ import annotations

import pytest

from atpn_deploy.tracking.redetection import Redetection


def runs(
    redetection: Redetection,
    frames: int,
    *,
    searching: bool = True,
    room: bool = True,
    found: tuple[int, ...] = (),
) -> list[int]:
    """The frames in which the detector runs; it finds something in those of `found`."""
    ran = []
    for frame in range(frames):
        if redetection.due(searching=searching, room=room):
            redetection.ran(found=frame in found)
            ran.append(frame)
    return ran


def test_where_nothing_is_found_it_waits_1_2_4_8_8_frames():
    assert runs(Redetection(30, 8), 32) == [0, 1, 3, 7, 15, 23, 31]


@pytest.mark.parametrize(
    ("longest", "frames"), [(1, [0, 1, 2, 3, 4]), (2, [0, 1, 3]), (3, [0, 1, 3])]
)
def test_it_never_waits_longer_than_the_longest(longest, frames):
    assert runs(Redetection(30, longest), 5) == frames


def test_a_loss_begins_with_short_waits_again():
    redetection = Redetection(30, 8)
    assert runs(redetection, 5) == [0, 1, 3]

    redetection.hurry()

    assert runs(redetection, 8) == [0, 1, 3, 7]


def test_after_a_find_the_next_search_is_at_once():
    assert runs(Redetection(30, 8), 12, found=(7,)) == [0, 1, 3, 7, 8, 9, 11]


def test_with_all_faces_followed_the_scene_is_rescanned():
    redetection = Redetection(5, 8)
    assert runs(redetection, 1, found=(0,)) == [0]

    assert runs(redetection, 16, searching=False) == [4, 9, 14]


@pytest.mark.parametrize(("rescan", "room"), [(0, True), (5, False)])
def test_without_rescans_or_room_it_is_not(rescan, room):
    redetection = Redetection(rescan, 8)
    runs(redetection, 1)

    assert runs(redetection, 40, searching=False, room=room) == []


def test_a_rescan_that_finds_nothing_does_not_slow_down_the_search_after_a_loss():
    redetection = Redetection(5, 8)
    runs(redetection, 30, searching=False)

    redetection.hurry()

    assert runs(redetection, 4) == [0, 1, 3]
