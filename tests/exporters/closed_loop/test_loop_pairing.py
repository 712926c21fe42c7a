"""Which face is whose, and which tracks only the reference keeps."""

from __future__ import annotations

import pytest

from atpn_deploy.tracking.frame_faces import Event
from atpn_exporters.closed_loop.pairing import PROVEN_FRAMES, SAME_EVENT_FRAMES, Pairing


@pytest.fixture
def pairing() -> Pairing:
    return Pairing()


def test_faces_pair_by_place_whatever_their_ids(pairing, tracked, said) -> None:
    left, right = tracked(1, 100), tracked(2, 300)
    pairs = pairing.step(0, 0.0, said(left, right), said(tracked(5, 301), tracked(9, 101)))
    assert [pair.ids for pair in pairs] == [(1, 9), (2, 5)]
    assert (pairing.reference_frames, pairing.paired_frames, pairing.extra_frames) == (2, 2, 0)


def test_an_eye_is_no_pair_of_the_face_round_it(pairing, tracked, said) -> None:
    assert pairing.step(0, 0.0, said(tracked(1, size=100)), said(tracked(1, size=40))) == []
    assert pairing.extra_frames == 1


def test_a_lost_face_is_none_of_the_pairs(pairing, tracked, said) -> None:
    assert pairing.step(0, 0.0, said(tracked(1)), said(tracked(1, lost=True))) == []


def play(pairing: Pairing, said, frames) -> Pairing:
    """Frames of (reference's faces, file's faces), at 10 a second; then the end.

    The first is shown so often that the reference keeps its track.
    """
    for k, (reference, file) in enumerate([frames[0]] * (PROVEN_FRAMES - 1) + frames):
        pairing.step(k, k / 10, said(*reference), said(*file))
    pairing.finish()
    return pairing


def test_a_track_that_the_reference_keeps_is_lost(pairing, tracked, said) -> None:
    event = Event("lost", 7, "confidence 0.41")
    for k in range(-PROVEN_FRAMES, 1):
        pairing.step(k, k / 10, said(tracked(1)), said(tracked(7)))
    pairing.step(1, 0.1, said(tracked(1, confidence=0.93)), said(events=(event,)))
    pairing.step(2, 0.2, said(tracked(1)), said())
    pairing.step(3, 0.3, said(tracked(1)), said(tracked(7)))
    pairing.finish()
    (gap,) = pairing.gaps
    assert gap.lost
    assert (gap.frame, gap.time_s, gap.reference_id, gap.file_id) == (1, 0.1, 1, 7)
    assert (gap.frames, gap.outcome, gap.reference_confidence) == (2, "regained", 0.93)
    assert str(gap).startswith("frame 1 (0.10 s): face 1 of the reference, confidence 0.93 there")
    assert "lost: confidence 0.41" in str(gap)


def test_a_track_lost_to_the_end_is_lost(pairing, tracked, said) -> None:
    both = ((tracked(1),), (tracked(1),))
    (gap,) = play(pairing, said, [both, ((tracked(1),), ())]).gaps
    assert gap.outcome == "the video ended"
    assert gap.lost


@pytest.mark.parametrize(("later", "lost"), [(SAME_EVENT_FRAMES, False), (15, True)])
def test_both_may_lose_a_face_within_some_frames(pairing, tracked, said, later, lost) -> None:
    both = ((tracked(1),), (tracked(1),))
    frames = [both, *[((tracked(1),), ())] * later, ((), ())]
    (gap,) = play(pairing, said, frames).gaps
    assert gap.frames == later
    assert gap.outcome == "the reference lost it too"
    assert gap.lost is lost


def test_a_face_found_later_was_not_lost(pairing, tracked, said) -> None:
    both = ((tracked(1),), (tracked(1),))
    (gap,) = play(pairing, said, [((tracked(1),), ()), ((tracked(1),), ()), both]).gaps
    assert (gap.file_id, gap.frames) == (None, PROVEN_FRAMES + 1)
    assert gap.late
    assert not gap.lost


def test_what_the_reference_does_not_keep_is_not_lost(pairing, tracked, said) -> None:
    for k in range(PROVEN_FRAMES - 1):
        pairing.step(k, k / 10, said(tracked(1)), said(*([tracked(2 if k > 5 else 3)] * (k != 4))))
    pairing.finish()
    assert [(gap.frame, gap.kept, gap.lost) for gap in pairing.gaps] == [(4, False, False)]
    assert pairing.switches == []


@pytest.mark.parametrize(("before", "after", "lost"), [(40, 100, False), (100, 40, True)])
def test_the_whole_face_in_place_of_its_eye_is_no_loss(
    pairing, tracked, said, before, after, lost
) -> None:
    """The file goes from what the reference keeps following to a larger or a smaller face."""
    both = ((tracked(1, size=before),), (tracked(1, size=before),))
    apart = ((tracked(1, size=before),), (tracked(2, size=after),))
    (gap,) = play(pairing, said, [both, apart, apart]).gaps
    assert gap.lost is lost
    assert gap.larger is not lost


def test_the_same_face_under_another_id_is_a_switch(pairing, tracked, said) -> None:
    frames = [((tracked(1),), (tracked(id),)) for id in (1, 1, 4)]
    (switch,) = play(pairing, said, frames).switches
    at = PROVEN_FRAMES + 1
    assert (switch.frame, switch.reference_id, switch.before, switch.after) == (at, 1, 1, 4)
