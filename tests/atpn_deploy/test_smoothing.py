import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.crop import Box, box_around
from atpn_deploy.errors import ConfigError
from atpn_deploy.faces import Face
from atpn_deploy.tracking.smoothing import (
    LONGEST_GAP_S,
    SPEED_CUTOFF_HZ,
    STRENGTHS,
    Cutoff,
    FaceFilter,
    OneEuro,
    strength_named,
)

Floats = NDArray[np.float64]

SHAPE = np.random.default_rng(98).uniform(0.2, 0.8, (98, 2))
SIZES_PX = (100, 200, 350, 500)
RATES = (25, 30)
SMOOTHING = ("light", "strong")


def face_at(landmarks: Floats, pose: tuple[float, ...] = (0.1, -0.2, 0.3)) -> Face:
    return Face(box_around(landmarks), landmarks, np.array(pose), 0.9)


def still(side_px: float, at: tuple[float, float] = (40.0, 60.0)) -> Floats:
    """Landmarks whose box is `side_px` wide."""
    return SHAPE / box_around(SHAPE).side * side_px + at


def filtered(faces: list[Face], strength: str, rate: float) -> list[Face]:
    smooth = FaceFilter(strength)
    return [smooth.step(face, k / rate) for k, face in enumerate(faces)]


def flat(face: Face) -> Floats:
    box = (face.box.left, face.box.top, face.box.side)
    return np.concatenate((face.landmarks.ravel(), face.pose, box))


# --- the equations -------------------------------------------------------------------------------


def test_two_steps_by_hand():
    # dt makes the weight on the speed a half, and that of a value at rest (at 3 Hz) a half too.
    dt_s = 1 / (6 * math.pi)
    assert SPEED_CUTOFF_HZ == 3.0
    one = OneEuro(np.zeros((1, 1)), np.array([3.0]), np.array([1 / (3 * math.pi**2)]))
    units = np.ones((1, 1))

    # velocity (6 pi + 0) / 2 = 3 pi; cutoff 3 + 3 Hz; weight 2 / 3.
    assert one.step(np.ones((1, 1)), units, dt_s).item() == pytest.approx(2 / 3)
    # velocity (3 pi + 2 pi) / 2; cutoff 3 + 25 / 12 Hz; weight (61 / 36) / (97 / 36).
    assert one.step(np.ones((1, 1)), units, dt_s).item() == pytest.approx(2 / 3 + 61 / 97 / 3)


def test_a_row_has_one_cutoff_for_all_its_values():
    one = OneEuro(np.zeros((2, 2)), np.array([1.0, 1.0]), np.array([5.0, 5.0]))

    both = one.step(np.array([[3.0, 4.0], [5.0, 0.0]]), np.ones((2, 1)), 0.04)

    assert both[0, 0] / 3 == pytest.approx(both[0, 1] / 4)
    assert both[1, 0] == pytest.approx(np.hypot(*both[0]))


def by_the_paper(values: list[float], times_s: list[float], cutoff: Cutoff, side: float) -> Floats:
    """Algorithm 1 of Casiez et al. on one number, as they wrote it but for the squared speed."""

    def alpha(te: float, hz: float) -> float:
        return 1.0 / (1.0 + (1.0 / (2 * math.pi * hz)) / te)

    hat, speed, out = values[0], 0.0, [values[0]]
    for (before, now), value in zip(pairwise(times_s), values[1:], strict=True):
        te = now - before
        a = alpha(te, SPEED_CUTOFF_HZ)
        speed = a * (value - hat) / te / side + (1 - a) * speed
        a = alpha(te, cutoff.minimum_hz + cutoff.hz_per_squared_speed * speed**2)
        hat = a * value + (1 - a) * hat
        out.append(hat)
    return np.array(out)


@pytest.mark.parametrize("strength", SMOOTHING)
def test_uneven_frames_give_what_the_paper_s_algorithm_gives(strength):
    rng = np.random.default_rng(3)
    times_s = np.cumsum(rng.uniform(0.005, 0.2, 60))
    shift = np.cumsum(rng.normal(0, 4, 60))
    tuning = STRENGTHS[strength].tuning
    smooth = FaceFilter(strength)
    rest = still(200)

    faces = [
        smooth.step(face_at(np.add(rest, (dx, 0.0))), float(time_s))
        for dx, time_s in zip(shift, times_s, strict=True)
    ]

    expected = by_the_paper((rest[7, 0] + shift).tolist(), times_s.tolist(), tuning.place, 200.0)
    np.testing.assert_allclose([face.landmarks[7, 0] for face in faces], expected, atol=1e-9)
    left = box_around(rest).left
    expected = by_the_paper((left + shift).tolist(), times_s.tolist(), tuning.place, 200.0)
    np.testing.assert_allclose([face.box.left for face in faces], expected, atol=1e-9)


def test_an_angle_is_filtered_by_its_own_speed_in_radians_per_second():
    yaw = [0.0, 0.1, 0.3, 0.2, 0.2, 0.6]
    faces = [face_at(still(150), (angle, 0.0, 0.0)) for angle in yaw]

    got = [face.pose[0] for face in filtered(faces, "light", 25)]

    expected = by_the_paper(yaw, [k / 25 for k in range(6)], STRENGTHS["light"].tuning.pose, 1.0)
    np.testing.assert_allclose(got, expected, atol=1e-12)


# --- what it is for ------------------------------------------------------------------------------


def jitter(faces: list[Face]) -> float:
    """RMS displacement of a landmark from one frame to the next, the first second left out."""
    points = np.array([face.landmarks for face in faces[30:]])
    return float(np.sqrt((np.diff(points, axis=0) ** 2).sum(-1).mean()))


@pytest.mark.parametrize(("strength", "least"), [("light", 0.82), ("strong", 0.92)])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("side_px", SIZES_PX)
def test_jitter_of_a_still_face_is_down(strength, least, rate, side_px):
    # 0.6 % of the side from frame to frame, as on the noisiest photographs at 100 pixels.
    rng = np.random.default_rng(side_px)
    noise = rng.normal(0, 0.003 * side_px, (200, 98, 2))
    faces = [face_at(still(side_px) + shift) for shift in noise]

    down = 1 - jitter(filtered(faces, strength, rate)) / jitter(faces)

    assert down >= least


def moved(side_px: float, rate: float, speed_px_s: float = 300.0) -> list[Face]:
    """Still for 20 frames, 20 frames at constant speed to the right, still again."""
    frame_px = speed_px_s / rate
    way = np.concatenate((np.zeros(20), frame_px * np.arange(1, 21), np.full(20, 20 * frame_px)))
    return [face_at(np.add(still(side_px), (x, 0.0))) for x in way]


def behind(given: list[Face], got: list[Face], frame_px: float) -> Floats:
    """How far each face is behind, in frames of the motion."""
    pairs = zip(given, got, strict=True)
    return np.array([(a.landmarks - b.landmarks)[:, 0].mean() / frame_px for a, b in pairs])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("side_px", SIZES_PX)
def test_light_is_less_than_a_frame_behind_at_300_px_per_second(side_px, rate):
    faces = moved(side_px, rate)

    lag = behind(faces, filtered(faces, "light", rate), 300 / rate)

    assert lag[20:40].max() < 0.5  # even while the motion begins
    assert lag[30:40].max() < 0.12  # steady
    assert lag.min() > -1e-9  # and never ahead when it stops
    assert lag[43] < 0.02


@pytest.mark.parametrize("rate", RATES)
def test_strong_is_further_behind_and_still_follows(rate):
    faces = moved(500, rate)

    lag = behind(faces, filtered(faces, "strong", rate), 300 / rate)

    assert 0.3 < lag[35:40].max() < 0.5
    assert 0.6 < lag[20:40].max() < 1.0


def test_an_eye_that_shuts_for_three_frames_is_shown_shut():
    open_eye = still(200)
    shut = open_eye.copy()
    shut[61:64, 1] += 0.02 * 200  # upper lids to the lower ones, 2 % of the side
    faces = [face_at(points) for points in [open_eye] * 20 + [shut] * 3 + [open_eye] * 10]

    for strength, least in (("light", 0.9), ("strong", 0.55)):
        got = filtered(faces, strength, 30)
        depth = max((face.landmarks - open_eye)[61:64, 1].mean() for face in got)
        assert least < depth / (0.02 * 200) < 1


def test_a_face_that_jumps_is_there_in_the_next_frame_but_one():
    faces = [face_at(still(200))] * 5 + [face_at(still(200, (340.0, 60.0)))] * 3

    got = filtered(faces, "light", 25)

    off_px = [abs(face.landmarks - still(200, (340.0, 60.0))).max() for face in got[5:]]
    assert off_px[0] < 10
    assert off_px[1] < 0.5


# --- what must not change ------------------------------------------------------------------------


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_face_that_does_not_change_is_returned_to_the_bit(strength):
    face = face_at(still(137.7), (0.3, -0.7, 3.1))

    for got in filtered([face] * 50, strength, 30):
        assert np.array_equal(flat(got), flat(face))
        assert got.confidence == face.confidence


@pytest.mark.parametrize("strength", SMOOTHING)
def test_twice_the_face_gives_twice_the_result(strength):
    rng = np.random.default_rng(1)
    tracks = [still(100) + shift for shift in rng.normal(0, 3, (30, 98, 2))]

    once = filtered([face_at(points) for points in tracks], strength, 25)
    twice = filtered([face_at(2 * points) for points in tracks], strength, 25)

    for one, two in zip(once, twice, strict=True):
        np.testing.assert_array_equal(two.landmarks, 2 * one.landmarks)
        assert dataclasses.astuple(two.box) == tuple(2 * x for x in dataclasses.astuple(one.box))
        np.testing.assert_array_equal(two.pose, one.pose)


def test_confidence_is_passed_on():
    faces = [dataclasses.replace(face_at(still(100)), confidence=c) for c in (0.9, 0.75, 0.8)]

    assert [face.confidence for face in filtered(faces, "strong", 25)] == [0.9, 0.75, 0.8]


def test_off_returns_the_face_itself():
    faces = moved(100, 25)

    assert all(a is b for a, b in zip(faces, filtered(faces, "off", 25), strict=True))


def test_neither_the_given_face_nor_a_returned_one_is_shared_with_the_filter():
    smooth, untouched = FaceFilter("light"), FaceFilter("light")
    given = [face_at(still(side_px)) for side_px in (100, 110, 105, 103)]
    before = [flat(face) for face in given]

    for k, face in enumerate(given):
        one, two = (each.step(face, 0.04 * k) for each in (smooth, untouched))
        assert np.array_equal(flat(face), before[k])
        assert np.array_equal(flat(one), flat(two))
        if one is not face:
            one.landmarks[:] = 1e6
            one.pose[:] = 1e6


# --- angles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", SMOOTHING)
@pytest.mark.parametrize("axis", range(3))
def test_an_angle_goes_the_short_way_past_pi(strength, axis):
    # The same turn, once across +-pi (and round several times) and once far from it.
    turn = np.linspace(0, 40, 300)
    across, far = [], []
    for angle in turn:
        pose = np.zeros(3)
        pose[axis] = math.remainder(3.0 + angle, math.tau)
        across.append(face_at(still(100), tuple(pose)))
        pose[axis] = math.remainder(angle, math.tau)
        far.append(face_at(still(100), tuple(pose)))

    one, two = filtered(across, strength, 25), filtered(far, strength, 25)

    for a, b in zip(one, two, strict=True):
        assert math.remainder(a.pose[axis] - b.pose[axis] - 3.0, math.tau) == pytest.approx(0)
        assert abs(a.pose[axis]) <= math.pi


def test_noise_about_pi_stays_there():
    rolls = [3.1, -3.1, 3.12, -3.13, 3.0, -3.1]

    got = filtered([face_at(still(100), (0.0, 0.0, roll)) for roll in rolls], "strong", 25)

    assert min(abs(face.pose[2]) for face in got) > 3.0


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "next_s",
    [10.0, 9.99, -5.0, 10.0 + 1.01 * LONGEST_GAP_S, 1e9, math.nan, math.inf],
    ids=["equal", "just back", "far back", "gap", "far on", "nan", "infinite"],
)
def test_a_time_that_is_no_next_frame_starts_anew(next_s):
    smooth, fresh = FaceFilter("light"), FaceFilter("light")
    for k in range(10):
        smooth.step(face_at(still(100, (k, 0.0))), 9.64 + 0.04 * k)
    face, after = face_at(still(100, (50.0, 9.0))), face_at(still(100, (53.0, 9.0)))

    assert smooth.step(face, next_s) is face

    start_s = next_s if math.isfinite(next_s) else 0.0
    if not math.isfinite(next_s):
        assert smooth.step(face, start_s) is face
    fresh.step(face, start_s)
    one, two = (each.step(after, start_s + 0.04) for each in (smooth, fresh))
    assert np.array_equal(flat(one), flat(two))


def test_a_gap_just_short_enough_is_bridged():
    smooth = FaceFilter("light")
    smooth.step(face_at(still(100)), 0.0)
    face = face_at(still(100, (41.0, 60.0)))

    assert smooth.step(face, LONGEST_GAP_S).landmarks[0, 0] < face.landmarks[0, 0]


def test_reset_forgets_the_face():
    smooth = FaceFilter("strong")
    smooth.step(face_at(still(100)), 0.0)
    smooth.reset()
    face = face_at(still(100, (90.0, 60.0)))

    assert smooth.step(face, 0.04) is face


# --- bad input -----------------------------------------------------------------------------------


def with_nan_landmark(face: Face) -> Face:
    points = face.landmarks.copy()
    points[17, 1] = np.nan
    return dataclasses.replace(face, landmarks=points, box=box_around(points))


SPOILT = {
    "landmark": with_nan_landmark,
    "infinite": lambda face: dataclasses.replace(face, landmarks=np.full((98, 2), -np.inf)),
    "pose": lambda face: dataclasses.replace(face, pose=np.array([0.0, np.nan, 0.0])),
    "box": lambda face: dataclasses.replace(face, box=Box(math.inf, 0.0, 100.0)),
    "no size": lambda face: dataclasses.replace(face, box=Box(40.0, 60.0, 0.0)),
    "negative size": lambda face: dataclasses.replace(face, box=Box(40.0, 60.0, -3.0)),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("at", [0, 3])
def test_a_face_that_is_none_comes_back_as_it_is_and_leaves_no_trace(spoil, at):
    faces = moved(100, 25)[17:27]
    spoilt, without = FaceFilter("light"), FaceFilter("light")

    for k, face in enumerate(faces):
        if k == at:
            bad = spoil(face)
            assert spoilt.step(bad, 0.04 * k) is bad
        else:
            one, two = (each.step(face, 0.04 * k) for each in (spoilt, without))
            assert np.array_equal(flat(one), flat(two))


# --- strengths -----------------------------------------------------------------------------------


def test_the_strengths_are_three_named_records():
    assert list(STRENGTHS) == ["off", "light", "strong"]
    assert all(strength.name == name for name, strength in STRENGTHS.items())
    with pytest.raises(TypeError):
        STRENGTHS["light"] = STRENGTHS["off"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        STRENGTHS["light"].name = "heavy"


def test_an_unknown_strength_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'medium'; expected off, light, strong"):
        FaceFilter("medium")
    assert strength_named("off").tuning is None


def test_the_page_states_the_constants():
    page = (Path(__file__).parents[2] / "docs" / "tracking-filter.md").read_text()

    assert f"2 pi * {SPEED_CUTOFF_HZ:g} Hz * dt" in page
    assert f"by at most {LONGEST_GAP_S:g} s" in page
    for name in SMOOTHING:
        tuning = STRENGTHS[name].tuning
        place, pose = (
            f"{c.minimum_hz:g}, {c.hz_per_squared_speed:g}" for c in (tuning.place, tuning.pose)
        )
        assert f"| `{name}` | {place} | {pose} |" in page
