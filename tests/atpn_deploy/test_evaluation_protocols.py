"""The protocols, on stub networks whose errors can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from atpn_deploy.crop import box_around
from atpn_deploy.datasets.faces import FaceSet, boxes_of, unknown_pose
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.alignment import measure_alignment
from atpn_deploy.evaluation.face_or_not import measure_tracking
from atpn_deploy.evaluation.head_pose import measure_pose, turned_away, usual_faces
from atpn_deploy.evaluation.network import Network, Predict
from atpn_deploy.evaluation.video import measure_video
from atpn_deploy.evaluation.views import look
from atpn_deploy.landmarks import OUTER_EYE_CORNERS, as_68
from atpn_deploy.metrics import inter_ocular

ALL = ("landmarks", "pose", "confidence")


def shape(count: int = 98) -> np.ndarray:
    """A made-up face in pixels of a 200x200 image, its eyes 40 apart; 68 are those of the 98."""
    points = np.random.default_rng(1).uniform(60, 140, (98, 2))
    left, right = OUTER_EYE_CORNERS[98]
    points[left], points[right] = (80, 90), (120, 90)
    points[0], points[16] = (50, 50), (150, 150)
    return as_68(points) if count == 68 else points


def stub(
    fractions: np.ndarray, pose_deg: tuple[float, float, float] = (0, 0, 0), *, name: str = "stub"
) -> Network:
    """Sees the same face in every crop and is as sure of it as the crop is bright."""

    def predict(crops: np.ndarray) -> dict[str, np.ndarray]:
        count = len(crops)
        return {
            "landmarks": np.repeat(fractions[None].astype(np.float32), count, 0),
            "pose": np.repeat(np.radians([pose_deg]).astype(np.float32), count, 0),
            "confidence": (crops.reshape(count, -1).mean(1) / 255).astype(np.float32)[:, None],
        }

    return Network(name, "stub 1", "0" * 64, len(fractions), ALL, predict)


def without(network: Network, *outputs: str) -> Network:
    """The same network as a file that leaves some outputs out."""
    kept = tuple(name for name in network.outputs if name not in outputs)
    whole: Predict = network.predict
    return replace(
        network, outputs=kept, predict=lambda crops: {name: whole(crops)[name] for name in kept}
    )


def exact(points: np.ndarray, shift: float = 0) -> np.ndarray:
    """The points as fractions of their own crop, moved to the right by `shift` of its side."""
    return box_around(points).from_image(points) + np.array([shift, 0])


def face_set(brightness: list[int], points: np.ndarray | None = None) -> FaceSet:
    """One face an image, each image of one brightness."""
    one = shape() if points is None else points
    many = np.repeat(one[None].astype(np.float32), len(brightness), 0)
    weights = np.ones(many.shape[:2], np.float32)
    return FaceSet(
        [np.full((200, 200, 3), value, np.uint8) for value in brightness],
        boxes_of(many, weights),
        many,
        weights,
        unknown_pose(len(brightness)),
        tuple(f"face {i}" for i in range(len(brightness))),
    )


def test_landmarks_come_back_in_pixels_of_the_image() -> None:
    faces = face_set([10] * 3)
    (seen,) = look([stub(exact(shape()))], faces.images, faces.boxes)
    np.testing.assert_allclose(seen.landmarks, faces.points, atol=1e-3)


def test_every_network_sees_every_crop_in_order() -> None:
    faces = face_set(list(range(0, 140, 2)))  # more than one batch
    done: list[int] = []
    seen = look([stub(exact(shape()))] * 2, faces.images, faces.boxes, done.append)
    for view in seen:
        np.testing.assert_allclose(view.confidence * 255, range(0, 140, 2), atol=1e-3)
    assert sum(done) == 70


def test_nme_is_the_shift_over_the_distance_of_the_eyes() -> None:
    faces = face_set([0, 0])
    (result,) = measure_alignment([stub(exact(shape(), 0.01))], faces, "made up")
    percent = 100 * 0.01 * box_around(shape()).side / 40
    figures = result.subsets["testset"]
    assert figures.nme_percent == pytest.approx(percent, rel=1e-4)
    assert figures.auc == pytest.approx(1 - percent / 10, rel=1e-4)
    assert figures.failure_percent == 0
    pupils = np.linalg.norm(shape()[96] - shape()[97])
    assert figures.nme_pupil_percent == pytest.approx(percent * 40 / pupils, rel=1e-4)


def test_a_subset_is_measured_on_its_own_faces() -> None:
    faces = face_set([0, 0, 0])
    moved = faces.points.copy()
    moved[2] += (40 * 0.2, 0)  # its annotation lies elsewhere than the crop says
    attributes = np.zeros((3, 6), bool)
    attributes[2, 0] = attributes[:2, 5] = True
    (result,) = measure_alignment(
        [stub(exact(shape()))], replace(faces, points=moved, attributes=attributes), "made up"
    )
    assert list(result.subsets) == ["testset", "pose", "blur"]  # the empty ones are left out
    assert result.subsets["pose"].nme_percent == pytest.approx(20, abs=1e-3)
    assert result.subsets["pose"].failure_percent == 100
    assert result.subsets["blur"].nme_percent == pytest.approx(0, abs=1e-3)
    assert result.subsets["testset"].failure_percent == pytest.approx(100 / 3)


@pytest.mark.parametrize(("network", "annotation"), [(98, 68), (68, 98), (68, 68)])
def test_markups_meet_in_the_68_points(network: int, annotation: int) -> None:
    faces = face_set([0], shape(annotation))
    drawn = box_around(shape(annotation)).from_image(shape(network)) + np.array([0.01, 0])
    (result,) = measure_alignment([stub(drawn)], faces, "made up")
    side, eyes = box_around(shape(annotation)).side, inter_ocular(shape(annotation))
    assert result.subsets["testset"].nme_percent == pytest.approx(side / eyes, rel=1e-3)


def test_a_face_with_unknown_points_is_refused_by_name() -> None:
    faces = face_set([0, 0])
    faces.weights[1, 7] = 0
    with pytest.raises(DatasetError, match="face 1 has points without annotation"):
        measure_alignment([stub(exact(shape()))], faces, "made up")


def test_landmarks_that_are_nan_fail() -> None:
    broken = exact(shape())
    broken[3] = np.nan
    (result,) = measure_alignment([stub(broken)], face_set([0]), "made up")
    figures = result.subsets["testset"]
    assert (figures.failure_percent, figures.auc) == (100, 0)
    assert np.isnan(figures.nme_percent)


def plain(brightness: list[int]) -> list[np.ndarray]:
    """Crops that hold no face."""
    return [np.full((112, 112, 3), value, np.uint8) for value in brightness]


def posed(degrees: list[tuple[float, float, float]]) -> FaceSet:
    return replace(face_set([0] * len(degrees)), pose=np.radians(degrees).astype(np.float32))


def test_pose_error_of_each_subset() -> None:
    faces = posed([(0, 0, 0), (20, 0, 3), (-60, 6, 0)])
    (result,) = measure_pose([stub(exact(shape()))], faces, turned_away(faces), "made up")
    assert list(result.subsets) == ["full", "common", "challenging"]
    common, challenging = result.subsets["common"], result.subsets["challenging"]
    assert (common.yaw_deg, common.roll_deg) == pytest.approx((10, 1.5), abs=1e-4)
    assert challenging.mae_deg == pytest.approx(22, abs=1e-4)
    assert (common.failure_percent, challenging.failure_percent) == (0, 100)
    assert result.subsets["full"].mae_deg == pytest.approx((23 + 66) / 9, abs=1e-4)


def test_faces_beyond_99_degrees_or_without_pose_are_not_usual() -> None:
    faces = posed([(0, 0, 0), (100, 0, 0), (0, -99.5, 0), (98, 0, 0), (np.nan, 0, 0)])
    assert usual_faces(faces).names == ("face 0", "face 3")


def test_a_face_without_pose_is_refused_by_name() -> None:
    faces = face_set([0])
    with pytest.raises(DatasetError, match="face 0 has no pose"):
        measure_pose([stub(exact(shape()))], faces, np.zeros(1, bool), "made up")


def test_a_file_without_pose_is_refused() -> None:
    network = without(stub(exact(shape())), "pose")
    with pytest.raises(DatasetError, match="stub computes no pose"):
        measure_pose([network], posed([(0, 0, 0)]), np.zeros(1, bool), "made up")


def test_a_file_without_confidence_is_refused() -> None:
    network = without(stub(exact(shape())), "confidence")
    with pytest.raises(DatasetError, match="stub computes no confidence"):
        measure_tracking([network], face_set([9]), plain([1]), "made up")
    with pytest.raises(DatasetError, match="stub computes no confidence"):
        measure_video([network], [Clip("A", (9,), shape(68))], "made up")


def test_faces_should_score_above_backgrounds() -> None:
    (result,) = measure_tracking(
        [stub(exact(shape()))], face_set([250, 200, 90]), plain([100, 5, 5, 5]), "made up"
    )
    assert (result.faces, result.negatives) == (3, 4)
    assert result.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert result.recall[-1] == 1


@dataclass(frozen=True)
class Clip:
    """Frames of one brightness each, in which the annotated face stands still."""

    category: str
    brightness: tuple[int, ...]
    shape: np.ndarray
    name: str = "clip"

    @property
    def points(self) -> np.ndarray:
        return np.repeat(self.shape[None].astype(np.float32), len(self.brightness), 0)

    def frames(self) -> Iterator[np.ndarray]:
        for value in self.brightness:
            yield np.full((200, 200, 3), value, np.uint8)


def test_tracking_follows_the_landmarks_and_a_failure_detects_anew() -> None:
    # Sure, sure, unsure (failure), sure, sure: the third frame's loss brings the annotation back.
    clip = Clip("A", (255, 255, 100, 255, 255), shape(68))
    (result,) = measure_video([stub(exact(shape(68), 0.02))], [clip], "made up")
    figures = result.categories["A"]
    assert (figures.sequences, figures.detection_frames, figures.tracking_frames) == (1, 2, 3)
    assert figures.failure_frames == 1
    assert figures.failure_percent == 20
    # Each crop round the last landmarks carries their error on: 1, 2, 3 shifts, then 1, 2.
    shift = 100 * 0.02 * box_around(shape(68)).side / 40
    assert figures.nme_detection_percent == pytest.approx(shift, rel=1e-3)
    assert figures.nme_tracking_percent == pytest.approx(shift * 9 / 5, rel=1e-3)
    assert figures.nme_pupil_tracking_percent != figures.nme_tracking_percent


def test_a_confidence_at_the_threshold_is_a_failure() -> None:
    network = stub(exact(shape(68)))
    at = {"confidence": np.full((1, 1), 0.7), "landmarks": exact(shape(68))[None]}
    network = replace(network, predict=lambda crops: at)
    (result,) = measure_video([network], [Clip("B", (0, 0, 0), shape(68))], "made up")
    assert result.categories["B"].failure_frames == 3
    assert result.categories["B"].detection_frames == 3


@pytest.mark.parametrize("bad", [np.nan, 1e9])
def test_landmarks_that_leave_no_crop_are_a_failure(bad: float) -> None:
    broken = exact(shape(68))
    broken[5] = bad
    (result,) = measure_video([stub(broken)], [Clip("C", (255, 255), shape(68))], "made up")
    assert result.categories["C"].failure_frames == 2


def test_sequences_are_counted_per_category_and_per_network() -> None:
    clips = [Clip("A", (255,), shape(68)), Clip("C", (0, 0), shape(68)), Clip("A", (0,), shape(68))]
    first, second = measure_video([stub(exact(shape()))] * 2, clips, "made up")
    assert {name: f.sequences for name, f in first.categories.items()} == {"A": 2, "C": 1}
    assert first == second


def test_no_video_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no labelled frames"):
        measure_video([stub(exact(shape()))], [], "made up")


def test_a_frame_with_unknown_points_is_refused_by_name() -> None:
    points = shape(68)
    points[0] = np.nan
    with pytest.raises(DatasetError, match="clip has frames with unknown points"):
        measure_video([stub(exact(shape()))], [Clip("A", (1,), points)], "made up")
