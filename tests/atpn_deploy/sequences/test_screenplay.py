"""Keys, and what the screenplays promise."""

from __future__ import annotations

import pytest

from atpn_deploy.errors import DatasetError
from atpn_deploy.renderer.screenplay import SCREENPLAYS, Actor, Key, screenplay_named


def test_between_two_keys_everything_changes_evenly() -> None:
    actor = Actor(1, (Key(10, 0.2, 0.5, 0.4), Key(20, 0.6, 0.5, 0.4, yaw=30, jaw=1.0)))
    half = actor.at(15)
    assert (half.frame, half.x, half.yaw, half.jaw) == (15, pytest.approx(0.4), 15, 0.5)
    assert actor.at(0).x == 0.2
    assert actor.at(99).x == pytest.approx(0.6)


def test_the_dash_is_300_pixels_a_second() -> None:
    (shot,) = screenplay_named("dash").shots
    steps = [shot.actors[0].at(k + 1).x - shot.actors[0].at(k).x for k in range(10, 30)]
    assert steps == pytest.approx([300 / 25 / 400] * 20)


def test_the_still_face_does_not_move() -> None:
    (shot,) = screenplay_named("still").shots
    assert {shot.actors[0].at(k).x for k in range(shot.frames)} == {0.5}


def test_keys_are_in_order_and_within_their_shot() -> None:
    for play in SCREENPLAYS.values():
        for shot in play.shots:
            for actor in shot.actors:
                frames = [key.frame for key in actor.keys]
                assert frames == sorted(set(frames))
                assert 0 <= frames[0] <= frames[-1] < shot.frames, play.name


def test_an_unknown_name_is_refused_with_the_names() -> None:
    with pytest.raises(DatasetError, match="'flying'; choose one of still, motion, dash"):
        screenplay_named("flying")
