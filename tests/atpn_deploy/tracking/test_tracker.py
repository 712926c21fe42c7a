"""The loop in a scripted world: births, losses, recoveries and deaths, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.errors import ArtifactError
from atpn_deploy.faces import SAME_FACE, overlap
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.scripted_world import ScriptedFace, ScriptedWorld
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions


def told(said: FrameFaces) -> list[tuple[str, int, str]]:
    return [(event.kind, event.id, event.reason) for event in said.events]


def states(said: FrameFaces) -> dict[int, str]:
    return {face.id: face.state for face in said.faces}


def middle(said: FrameFaces, id_: int) -> tuple[float, float]:
    (box,) = [face.face.box for face in said.faces if face.id == id_]
    return box.left + box.side / 2, box.top + box.side / 2


def test_a_detection_becomes_a_face_that_is_followed_without_the_detector(film, face):
    shown = film()

    first = shown.show(face())
    rest = [shown.show(face(x=320 + 6 * k)) for k in range(1, 20)]

    assert told(first) == [("birth", 1, "confidence 0.95")]
    assert first.detected
    assert not any(said.detected or said.events for said in rest)
    assert [states(said) for said in rest] == [{1: "tracked"}] * 19
    assert middle(rest[-1], 1) == pytest.approx((320 + 6 * 19, 240), abs=0.01)
    assert [face.frames for said in (first, *rest) for face in said.faces] == list(range(1, 21))
    assert rest[-1].time_s == pytest.approx(19 / 30)


def test_the_face_that_is_told_is_the_one_that_the_network_saw(film, face):
    said = film().show(face(x=300, size=75))

    (one,) = said.faces
    assert one.face is one.seen
    assert one.face.landmarks.min(0) == pytest.approx((262.5, 202.5), abs=0.01)
    assert one.face.pose == pytest.approx((0.3, 0.24, 0.075))
    assert one.face.confidence == pytest.approx(0.95)
    assert said.tracked == said.faces


@pytest.mark.parametrize(("confidence", "born"), [(0.79, 0), (0.81, 1)])
def test_a_birth_needs_more_than_it_takes_to_stay(film, face, confidence, born):
    assert len(film().show(face(confidence=confidence)).faces) == born


@pytest.mark.parametrize(("side", "born"), [(39, 0), (41, 1)])
def test_a_small_face_is_not_born_but_followed_when_it_becomes_as_small(film, face, side, born):
    shown = film()

    assert len(shown.show(face(size=side / 1.5)).faces) == born
    shown.hold(face(size=45))
    assert states(shown.show(face(size=side / 1.5)))[1] == "tracked"


def test_a_face_is_kept_above_the_threshold_and_lost_at_it(film, face):
    shown = film()
    shown.hold(face())

    assert states(shown.show(face(confidence=0.701))) == {1: "tracked"}
    said = shown.show(face(confidence=0.7))

    assert told(said) == [("lost", 1, "confidence 0.70")]
    assert states(said) == {1: "lost"}
    assert said.tracked == ()


def test_at_a_threshold_itself_a_face_is_lost_and_neither_born_nor_recovered(film, face):
    """Thresholds that float32, in which a network answers, can hold exactly."""
    shown = film(keep=0.75, birth=0.875, longest_wait_frames=1)

    assert shown.show(face(confidence=0.875)).faces == ()
    shown.hold(face())
    assert states(shown.show(face(confidence=0.7501))) == {1: "tracked"}
    assert states(shown.show(face(confidence=0.75))) == {1: "lost"}
    assert states(shown.show(face(confidence=0.875))) == {1: "lost"}
    assert states(shown.show(face(confidence=0.8751))) == {1: "tracked"}


def test_a_lost_face_is_recovered_by_more_than_it_takes_to_stay(film, face):
    shown = film()
    shown.hold(face())
    shown.show(face(confidence=0.5))

    assert states(shown.show(face(confidence=0.75))) == {1: "lost"}
    said = shown.show(face(confidence=0.81))

    assert told(said) == [("recovered", 1, "confidence 0.81")]
    assert states(said) == {1: "tracked"}


def test_a_lost_face_is_held_for_some_frames_and_dies(film, face):
    shown = film(lost_frames=3)
    shown.hold(face())

    said = [shown.show() for _ in range(5)]

    assert [states(one) for one in said] == [{1: "lost"}] * 3 + [{}] * 2
    assert told(said[3]) == [("death", 1, "lost for 4 frames")]
    assert middle(said[2], 1) == pytest.approx((320, 240), abs=0.01)


def test_an_id_is_never_given_again(film, face):
    shown = film(lost_frames=0, longest_wait_frames=1)
    ids = []

    for _ in range(4):
        ids += states(shown.hold(face()))
        assert states(shown.show()) == {}

    assert ids == [1, 2, 3, 4]


def test_a_face_that_has_not_proven_to_be_one_dies_at_once(film, face):
    shown = film(proven_frames=4)
    shown.hold(face(), frames=4)  # born, and followed three times

    assert told(shown.show()) == [
        ("lost", 1, "confidence 0.05"),
        ("death", 1, "lost after 3 frames at most"),
    ]


def test_one_frame_more_and_it_is_held(film, face):
    shown = film(proven_frames=4)
    shown.hold(face(), frames=5)

    assert states(shown.show()) == {1: "lost"}


def test_the_detector_finds_it_in_the_frame_of_its_loss(film, face):
    shown = film(proven_frames=4)
    shown.show(face())

    said = shown.show(face(x=320 + 60))

    assert [event[:2] for event in told(said)] == [("lost", 1), ("recovered", 1)]
    assert told(said)[1][2] == "detected, confidence 0.95"
    assert states(said) == {1: "tracked"}


def test_a_face_that_jumped_while_it_was_lost_is_recovered_under_its_id(film, face):
    shown = film()
    shown.hold(face())
    shown.show()

    said = shown.show(face(x=320 + 66))

    assert told(said) == [("recovered", 1, "detected, confidence 0.95")]
    assert middle(said, 1) == pytest.approx((386, 240), abs=0.01)


@pytest.mark.parametrize("elsewhere", [{"x": 410}, {"size": 170}, {"size": 39, "x": 340}])
def test_one_too_far_or_of_another_size_is_another_face(film, face, elsewhere):
    shown = film()
    shown.hold(face())
    shown.show()

    said = shown.show(face(**elsewhere))

    assert told(said) == [("birth", 2, "confidence 0.95")]
    assert states(said) == {1: "lost", 2: "tracked"}


def test_fast_motion_is_kept_where_the_paper_s_loop_would_lose_it(film, face):
    shown = film()
    shown.show(face(x=60))
    shown.show(face(x=60 + 25))

    said = [shown.show(face(x=85 + 50 * k)) for k in range(1, 9)]

    assert [states(one) for one in said] == [{1: "tracked"}] * 8
    assert not any(one.detected for one in said)


def test_faces_are_told_in_the_order_of_their_ids_with_the_largest_born_first(film, face):
    shown = film()
    faces = [face(x=100, size=60), face(x=320, size=80), face(x=540, size=70)]

    said = shown.show(*faces)

    assert [middle(said, id_)[0] for id_ in (1, 2, 3)] == pytest.approx([320, 540, 100], abs=0.01)
    assert list(states(said)) == [1, 2, 3]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_that_cross_the_one_in_front_keeps_its_id(film, face, reverse):
    """Whichever of the two is the older one."""
    shown = film(lost_frames=10)
    sizes = (70, 72) if reverse else (72, 70)
    behind = face(x=320, size=sizes[0])
    position = [60 + 26 * k for k in range(22)]

    for x in position:
        hidden = abs(x - 320) < 40
        said = shown.show(*([] if hidden else [behind]), face(x=x, size=sizes[1]))
        tracked = [one.face.box for one in said.tracked]
        assert all(overlap(a, b) <= SAME_FACE for i, a in enumerate(tracked) for b in tracked[:i])

    front, back = (1, 2) if reverse else (2, 1)
    assert states(said) == {1: "tracked", 2: "tracked"}
    assert middle(said, front)[0] == pytest.approx(position[-1], abs=0.01)
    assert middle(said, back)[0] == pytest.approx(320, abs=0.01)


def test_the_smaller_number_of_faces_is_the_largest_ones(film, face):
    shown = film(max_faces=2)

    said = shown.show(face(x=100, size=60), face(x=320, size=80), face(x=540, size=70))

    assert [middle(said, id_)[0] for id_ in states(said)] == pytest.approx([320, 540], abs=0.01)


def test_a_newborn_replaces_the_face_that_was_lost_longest(film, face):
    shown = film(max_faces=2, lost_frames=20)
    one, two, three = face(x=100), face(x=320), face(x=540, size=78)
    shown.hold(one, two)
    shown.show(two)
    shown.show()

    said = shown.show(three, proposals=[three.box])

    assert told(said) == [
        ("death", 1, "gave way to face 3"),
        ("birth", 3, "confidence 0.95"),
    ]
    assert states(said) == {2: "lost", 3: "tracked"}


def test_a_full_tracker_does_not_look_for_more(film, face):
    shown = film(max_faces=1, rescan_frames=2)

    said = [shown.show(face(), face(x=540, size=60)) for _ in range(8)]

    assert [one.detected for one in said] == [True] + [False] * 7


def test_a_new_face_is_found_at_the_next_rescan(film, face):
    shown = film(rescan_frames=5)

    said = [shown.show(face(), *([face(x=540)] if k else [])) for k in range(7)]

    assert [one.detected for one in said] == [k in (0, 5) for k in range(7)]
    assert told(said[5]) == [("birth", 2, "confidence 0.95")]


def test_the_detector_runs_more_and_more_seldom_and_at_once_after_a_loss(film, face):
    shown = film(lost_frames=30)

    empty = [shown.show().detected for _ in range(12)]
    while not shown.show(face()).faces:
        pass
    shown.hold(face())
    after = [shown.show().detected for _ in range(9)]

    assert [k for k, ran in enumerate(empty) if ran] == [0, 1, 3, 7]
    assert [k for k, ran in enumerate(after) if ran] == [0, 1, 3, 7]


def test_another_frame_size_ends_every_face_and_begins_anew(film, face):
    shown = film(rescan_frames=30)
    shown.hold(face(), face(x=540))

    shown.size = (480, 640)
    said = shown.show(face())

    assert told(said) == [
        ("death", 1, "the frame size changed"),
        ("death", 2, "the frame size changed"),
        ("birth", 3, "confidence 0.95"),
    ]
    assert said.detected


def test_in_another_frame_size_the_detector_runs_at_once(film):
    shown = film()
    before = [shown.show().detected for _ in range(5)]

    shown.size = (480, 640)

    assert before == [True, True, False, True, False]
    assert [shown.show().detected for _ in range(4)] == [True, True, False, True]


def test_after_a_cut_whoever_is_where_a_face_was_is_another(film, face):
    shown = film()
    shown.picture = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    shown.hold(face())

    shown.picture = shown.picture[:, ::-1]
    said = shown.show(face())

    assert told(said) == [("death", 1, "the scene was cut"), ("birth", 2, "confidence 0.95")]
    assert said.detected


@pytest.mark.parametrize(
    ("step", "last"), [((40, 0), (630, 240)), ((-40, 0), (10, 240)), ((0, 40), (320, 470))]
)
def test_a_face_is_followed_until_its_middle_leaves_the_frame(film, face, step, last):
    shown = film()
    at = [(last[0] + step[0] * k, last[1] + step[1] * k) for k in range(-5, 2)]

    said = [shown.show(face(x, y)) for x, y in at]

    assert [states(one) for one in said[:6]] == [{1: "tracked"}] * 6
    assert told(said[6])[0] == ("lost", 1, "left the frame")


def test_numbers_that_are_none_lose_a_face_and_bear_none(film, face):
    shown = film()
    shown.hold(face())
    right = ScriptedWorld.run

    def broken(feeds):
        return {name: value * np.nan for name, value in right(shown.world, feeds).items()}

    shown.world.run = broken
    said = shown.show(face())

    assert told(said) == [("lost", 1, "confidence nan")]
    assert middle(said, 1) == pytest.approx((320, 240), abs=0.01)
    shown.world.run = lambda feeds: right(shown.world, feeds)
    assert told(shown.show(face())) == [("recovered", 1, "confidence 0.95")]


@pytest.mark.parametrize("landmarks", [np.nan, 0.5, 1e9])
def test_landmarks_of_no_face_lose_it_however_sure_the_network_is(film, face, landmarks):
    shown = film()
    shown.hold(face())
    right = ScriptedWorld.run

    def broken(feeds):
        return right(shown.world, feeds) | {"landmarks": np.full((1, 98, 2), landmarks, np.float32)}

    shown.world.run = broken
    said = [shown.show(face(), face(x=500)) for _ in range(2)]

    assert [states(one) for one in said] == [{1: "lost"}] * 2


def test_without_proposals_nothing_is_born(film, face):
    said = film().show(face(), proposals=[])

    assert said.detected
    assert said.faces == said.events == ()


@pytest.mark.parametrize(
    "box",
    [
        Box(320, 240, 0),
        Box(320, 240, -5),
        Box(280, 200, 3),
        Box(float("nan"), 0, 50),
        Box(0, 0, float("inf")),
        Box(900, 0, 50),
    ],
)
def test_senseless_proposals_are_passed_over(film, face, box):
    shown = film(rescan_frames=1)

    said = [shown.show(face(), proposals=[box, face().box, box]) for _ in range(3)]

    assert [states(one) for one in said] == [{1: "tracked"}] * 3


def test_a_proposal_that_covers_a_tracked_face_costs_no_look(film, face):
    shown = film(rescan_frames=1)
    shown.show(face())
    shown.world.looks.clear()

    shown.show(face(), proposals=[face(x=330).box, face(size=90).box])

    assert len(shown.world.looks) == 1


def test_a_proposal_that_leads_to_a_tracked_face_is_no_other(film, face):
    shown = film(rescan_frames=1)
    shown.show(face())

    said = shown.show(face(), proposals=[face(x=320 + 66).box])

    assert said.detected
    assert states(said) == {1: "tracked"}


def test_two_hundred_faces_are_followed_each_under_its_id(film, face):
    shown = film(smallest_side=12)
    places = [(16 + 32 * (k % 20), 24 + 48 * (k // 20)) for k in range(200)]

    born = shown.show(*[face(x, y, 20) for x, y in places])
    said = shown.show(*[face(x + 3, y - 2, 20) for x, y in places])

    assert len(born.faces) == 200
    assert [middle(said, id_) for id_ in range(1, 201)] == [
        pytest.approx((x + 3, y - 2), abs=0.01)
        for x, y in (middle(born, id_) for id_ in range(1, 201))
    ]


def test_two_trackers_know_nothing_of_each_other(film, face):
    one, other = film(), film()

    one.hold(face())
    said = other.show(face(x=100))

    assert told(said) == [("birth", 1, "confidence 0.95")]
    assert middle(one.show(face()), 1) == pytest.approx((320, 240), abs=0.01)


@pytest.mark.parametrize("strength", ["off", "light", "strong"])
def test_the_filter_changes_what_is_shown_and_nothing_of_what_is_followed(film, face, strength):
    filtered, plain = film(smoothing=strength), film()

    for k in range(12):
        one = filtered.show(face(x=100 + 9 * k))
        other = plain.show(face(x=100 + 9 * k))
        assert one.faces[0].seen.box == other.faces[0].seen.box

    same = one.faces[0].face.box == other.faces[0].face.box
    assert same is (strength == "off")


def test_a_file_that_lacks_a_task_is_refused(film):
    world = film().world
    world.output_names = ("landmarks", "pose")

    with pytest.raises(ArtifactError, match="no confidence"):
        Tracker(world, world)


def test_the_defaults_are_the_paper_s_threshold_and_a_light_filter():
    options = TrackerOptions()

    assert options.lifecycle.keep == 0.7
    assert options.lifecycle.birth > options.lifecycle.keep
    assert (options.max_faces, options.smoothing) == (None, "light")


def test_a_scripted_face_is_missed_by_distance_and_size():
    one = ScriptedFace(100, 100, 60, 0.9)

    assert one.missed_by(one.box) == 0
    assert one.missed_by(Box(64, 46, 90)) == pytest.approx(0.1)  # 9 right of it, 9 above
    assert one.missed_by(Box(40, 40, 120)) == pytest.approx(30 / 210)
