from __future__ import annotations

import time

import numpy as np
import pytest

from atpn_deploy.crop import Box, box_around
from atpn_deploy.errors import ArtifactError
from atpn_deploy.faces import (
    SAME_FACE,
    Face,
    find_faces,
    look,
    overlap,
    overlaps,
    without_duplicates,
)


class Proposals:
    """A detector that says what it was told."""

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def propose(self, image: np.ndarray) -> list[Box]:
        return list(self.boxes)


class SquareSession:
    """Takes a bright square for a face: landmarks round its border, confidence from its share."""

    output_names = ("landmarks", "pose", "confidence")

    def __init__(self) -> None:
        self.calls = 0

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        (crop,) = feeds["image"]
        assert crop.shape == (112, 112, 3)
        bright = crop[..., 0] > 127
        share = bright.mean()
        ring = np.linspace(0, 2 * np.pi, 98, endpoint=False)
        landmarks = 0.5 + 0.3 * np.stack((np.cos(ring), np.sin(ring)), -1)
        if bright.any():
            y, x = np.nonzero(bright)
            low = np.array((x.min(), y.min())) / 112
            high = np.array((x.max() + 1, y.max() + 1)) / 112
            landmarks = (low + high) / 2 + (high - low) / 2 * np.stack(
                (np.cos(ring), np.sin(ring)), -1
            ) / np.abs(np.stack((np.cos(ring), np.sin(ring)), -1)).max(0)
        confidence = 0.95 if 0.1 < share < 0.9 else 0.05
        return {
            "landmarks": landmarks[None].astype(np.float32),
            "pose": np.array([[0.1, -0.2, 0.3]], np.float32),
            "confidence": np.array([[confidence]], np.float32),
        }


def photograph(*squares: tuple[int, int, int]) -> np.ndarray:
    """Black, 400 x 600, with bright squares (left, top, side)."""
    image = np.zeros((400, 600, 3), np.uint8)
    for left, top, side in squares:
        image[top : top + side, left : left + side] = 255
    return image


def test_the_second_pass_frames_the_face_exactly():
    image = photograph((200, 150, 60))
    rough = Box(180, 140, 120)

    first = look(image, rough, SquareSession())
    (face,) = find_faces(image, SquareSession(), Proposals(rough))

    assert face.box.left + face.box.side / 2 == pytest.approx(230, abs=0.5)
    assert face.box.top + face.box.side / 2 == pytest.approx(180, abs=0.5)
    assert face.box.side == pytest.approx(90, abs=1.5)  # 25 % of 60 on each side
    assert face.landmarks.min(0) == pytest.approx((200, 150), abs=0.8)
    assert face.landmarks.max(0) == pytest.approx((260, 210), abs=0.8)
    assert face.pose == pytest.approx((0.1, -0.2, 0.3))
    assert face.confidence == pytest.approx(0.95)
    assert first.box != face.box


def test_faces_come_largest_first_and_not_twice():
    image = photograph((50, 50, 40), (300, 200, 80))
    proposals = Proposals(
        Box(40, 40, 60), Box(45, 45, 62), Box(280, 180, 130), Box(285, 170, 120), Box(400, 20, 50)
    )

    faces = find_faces(image, SquareSession(), proposals)

    assert [round(face.box.side / 1.5 / 20) for face in faces] == [4, 2]
    assert len(find_faces(image, SquareSession(), proposals, max_faces=1)) == 1


def test_a_false_alarm_costs_one_pass_and_is_dropped():
    session = SquareSession()

    assert find_faces(photograph(), session, Proposals(Box(10, 10, 50))) == []
    assert session.calls == 1


@pytest.mark.parametrize(("threshold", "count"), [(0.94, 1), (0.96, 0)])
def test_the_threshold_decides(threshold, count):
    image = photograph((200, 150, 60))

    faces = find_faces(image, SquareSession(), Proposals(Box(180, 140, 120)), threshold=threshold)

    assert len(faces) == count


def test_a_face_over_the_border_is_found():
    (face,) = find_faces(photograph((0, 150, 60)), SquareSession(), Proposals(Box(-30, 140, 100)))

    assert face.box.left < 0


@pytest.mark.parametrize(
    "box",
    [
        Box(900, 900, 50),  # its centre is outside
        Box(10, 10, 0.0),
        Box(10, 10, 3.0),
        Box(float("nan"), 0, 50),
        Box(0, 0, float("inf")),
    ],
)
def test_a_senseless_proposal_is_not_run(box):
    session = SquareSession()

    assert find_faces(photograph((200, 150, 60)), session, Proposals(box)) == []
    assert session.calls == 0


def test_a_network_that_returns_nan_gives_no_face():
    class Broken(SquareSession):
        def run(self, feeds):
            return {name: value * np.nan for name, value in super().run(feeds).items()}

    assert find_faces(photograph((9, 9, 60)), Broken(), Proposals(Box(0, 0, 90))) == []


def test_landmarks_that_shrink_to_a_dot_are_no_face():
    class Shrunk(SquareSession):
        def run(self, feeds):
            return super().run(feeds) | {"landmarks": np.full((1, 98, 2), 0.5, np.float32)}

    proposals = Proposals(Box(180, 140, 120), Box(185, 140, 120))

    assert find_faces(photograph((200, 150, 60)), Shrunk(), proposals) == []


def test_a_file_with_alignment_only_is_refused():
    session = SquareSession()
    session.output_names = ("landmarks",)

    with pytest.raises(ArtifactError, match=r"no pose and no confidence.*--signature full"):
        find_faces(photograph(), session, Proposals())


def face_at(left: float, top: float, side: float, confidence: float) -> Face:
    """A face whose landmarks span that square."""
    landmarks = np.tile([(left, top), (left + side, top + side)], (49, 1)).astype(np.float64)
    return Face(box_around(landmarks), landmarks, np.zeros(3), confidence)


def test_overlap_is_the_share_of_the_smaller_face_without_its_margin():
    big, half_in = face_at(0, 0, 100, 1).box, face_at(80, 30, 40, 1).box

    assert overlap(big, half_in) == pytest.approx(0.5)
    assert overlap(half_in, big) == pytest.approx(0.5)
    assert overlap(big, big) == pytest.approx(1)
    assert overlap(big, face_at(101, 0, 100, 1).box) == 0


def test_of_duplicates_the_most_confident_stays():
    sure, same, inside = face_at(0, 0, 100, 0.9), face_at(5, 5, 95, 0.8), face_at(30, 30, 30, 0.7)
    neighbour = face_at(90, 0, 100, 0.75)

    assert without_duplicates([inside, same, neighbour, sure]) == [sure, neighbour]


def crowd(count: int) -> list[Face]:
    """Faces of all sizes, some on one another, some equally sure."""
    rng = np.random.default_rng(7)
    return [
        face_at(*rng.uniform(0, 1500, 2), rng.uniform(10, 120), rng.integers(0, 40) / 40)
        for _ in range(count)
    ]


def test_all_overlaps_at_once_are_those_of_each_pair():
    ones, others = ([face.box for face in crowd(60)[half]] for half in (slice(25), slice(25, 60)))

    expected = [[overlap(one, other) for other in others] for one in ones]

    assert overlaps(ones, others).tolist() == expected
    assert np.count_nonzero(expected) > 10
    assert overlaps([], others).shape == (0, 35)
    assert overlaps(ones, []).shape == (25, 0)


def test_of_a_crowd_those_stay_that_overlap_no_surer_face():
    faces = crowd(500)
    expected: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        if all(overlap(face.box, other.box) <= SAME_FACE for other in expected):
            expected.append(face)

    kept = without_duplicates(faces)

    assert list(map(id, kept)) == list(map(id, expected))
    assert 100 < len(kept) < 450


def test_no_faces_and_one_face_stay_as_they_are():
    (face,) = crowd(1)

    assert without_duplicates([]) == []
    assert without_duplicates([face]) == [face]


def test_a_crowd_takes_milliseconds():
    faces = crowd(500)
    without_duplicates(faces)
    began = time.process_time()
    without_duplicates(faces)

    assert time.process_time() - began < 0.1  # pair by pair it is half a second
