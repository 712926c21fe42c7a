from __future__ import annotations

import math

import numpy as np
import pytest

from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.sheet import (
    CAPTION_HEIGHT,
    GAP,
    HEADING_HEIGHT,
    Section,
    SheetFace,
    caption_of,
    contact_sheet,
    drawn,
    sheet_faces,
    worst_by_attribute,
    worst_first,
)
from atpn_deploy.faces import Face

pytestmark = pytest.mark.needs("opencv")
pytest.importorskip("PIL", reason="Pillow is not at hand")

SIDE = 60


def points(centre: tuple[float, float], size: float) -> np.ndarray:
    """98 points on a spiral."""
    turn = np.linspace(0, 6 * np.pi, 98)
    radius = np.linspace(0.1, 0.5, 98) * size
    return np.stack((np.cos(turn), np.sin(turn)), -1) * radius[:, None] + centre


def cell(colour: int, caption: str = "") -> SheetFace:
    """A face on an image of one colour."""
    face = Face(Box(10, 10, 100), points((60, 60), 60), np.radians((10.0, 5.0, 0.0)), 0.9)
    return SheetFace(np.full((120, 120, 3), colour, np.uint8), face, caption)


def test_cells_lie_in_rows_with_captions_beneath_and_headings_above():
    sections = [
        Section("first", tuple(cell(c) for c in (50, 100, 150, 200))),
        Section("", (cell(230),)),
    ]

    sheet = contact_sheet(sections, columns=3, side=SIDE)

    step = SIDE + CAPTION_HEIGHT + GAP
    assert sheet.shape == (GAP + HEADING_HEIGHT + 3 * step, GAP + 3 * (SIDE + GAP), 3)
    first = GAP + HEADING_HEIGHT
    for row, column, colour in (
        (0, 0, 50),
        (0, 1, 100),
        (0, 2, 150),
        (1, 0, 200),
        (2, 0, 230),
    ):
        top, left = first + row * step, GAP + column * (SIDE + GAP)
        square = sheet[top : top + SIDE, left : left + SIDE]
        assert tuple(square[0, 0]) == tuple(square[-1, -1]) == (colour,) * 3
        assert (square == cell_of(colour)).all()
        assert (sheet[top, left - 1] == 255).all()
        assert (sheet[top - 1, left] == 255).all()
    assert (sheet[first + step : first + 2 * step, GAP + SIDE + GAP :] == 255).all()


def cell_of(colour: int) -> np.ndarray:
    return drawn(cell(colour), SIDE)


@pytest.mark.parametrize("caption", ["NME 12.3 %", "a caption that is far too long for its face"])
def test_a_caption_stays_beneath_its_face(caption):
    sheet = contact_sheet([Section("", (cell(90), cell(90, caption), cell(90)))], 3, side=SIDE)

    dark = np.argwhere((sheet[GAP + SIDE :] < 128).all(-1))
    left = GAP + SIDE + GAP
    assert len(dark) > 20
    assert (dark[:, 0] < CAPTION_HEIGHT).all()
    assert dark[:, 1].min() >= left - GAP / 2
    assert dark[:, 1].max() < left + SIDE + GAP / 2


def test_a_heading_is_written_above_its_faces():
    sheet = contact_sheet([Section("occlusion", (cell(90),))], 3, side=SIDE)

    assert (sheet[:HEADING_HEIGHT] < 128).any()


@pytest.mark.parametrize("side", [20, 112, 300])
def test_a_face_is_shown_as_the_network_saw_it(side):
    """At 112 pixels the square is the contract's crop, but for rounding."""
    rng = np.random.default_rng(1)
    smooth = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((side // 4, side // 4, 1)))
    image = smooth.astype(np.uint8)
    box = Box(-0.13 * side, 0.21 * side, 1.5 * side)
    far = np.full((98, 2), -1e5)  # points and axes outside the square

    square = drawn(SheetFace(image, Face(box, far, np.zeros(3), 1.0), ""), 112)

    difference = np.abs(square.astype(int) - cut(image, box))
    assert np.percentile(difference, 99) < 8  # OpenCV keeps 5 bits of a position


@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.0])
def test_points_stay_where_they_are_in_the_image(zoom):
    """A dot of two by two pixels under every point is covered by what is drawn there."""
    base = points((60, 60), 60)
    face = Face(Box(5, 15, 110), base, np.full(3, np.nan), 0.5)
    blank = np.zeros((140, 140, 3), np.uint8)

    square = drawn(SheetFace(blank, face, ""), round(110 * zoom))

    at = np.floor((base - (5, 15)) * zoom).astype(int)
    assert (square[at[:, 1], at[:, 0]].max(-1) > 60).mean() > 0.9


def test_the_image_itself_is_left_alone():
    face = cell(70)
    drawn(face, SIDE)

    assert (face.image == 70).all()


def test_without_a_pose_only_points_are_drawn():
    with_pose = cell(70)
    without = SheetFace(
        with_pose.image,
        Face(with_pose.face.box, with_pose.face.landmarks, np.full(3, np.nan), 0.9),
        "",
    )

    changed = [(drawn(face, SIDE) != 70).any(-1).sum() for face in (with_pose, without)]
    assert changed[0] > changed[1] > 0


def test_a_network_of_68_points_is_refused():
    face = Face(Box(0, 0, 50), np.zeros((68, 2)), np.zeros(3), 0.5)

    with pytest.raises(DatasetError, match="draws 98 points a face; this network gives 68"):
        drawn(SheetFace(np.zeros((50, 50, 3), np.uint8), face, ""), SIDE)


@pytest.mark.parametrize(("sections", "columns"), [([], 3), ([Section("x", ())], 3)])
def test_an_empty_sheet_is_refused(sections, columns):
    with pytest.raises(DatasetError, match="contact sheet of 0 faces in 3 columns"):
        contact_sheet(sections, columns)


@pytest.mark.parametrize(
    ("error", "confidence", "text"),
    [
        (0.1234, 0.98, "NME 12.3 %   face 98 %"),
        (None, 0.5, "face 50 %"),
        (0.05, math.nan, "NME 5.0 %"),
    ],
)
def test_captions_hold_what_is_known(error, confidence, text):
    assert caption_of(error, confidence) == text


class TestFaceSets:
    """From a face set and what a network said of it."""

    @pytest.fixture
    def faces(self):
        from atpn_deploy.datasets.faces import FaceSet

        annotated = np.stack([points((60, 60), 50)] * 4).astype(np.float32)
        attributes = np.zeros((4, 6), bool)
        attributes[[0, 1], 0] = True  # pose
        attributes[3, 5] = True  # blur
        return FaceSet(
            [np.full((120, 120, 3), 40 * i, np.uint8) for i in range(4)],
            np.array([[30, 30, 90, 80]] * 4, np.float32),
            annotated,
            np.ones((4, 98), np.float32),
            np.zeros((4, 3), np.float32),
            tuple("abcd"),
            attributes,
        )

    @pytest.fixture
    def seen(self, faces):
        """Off by 1, 4, 2 and 3 pixels."""
        from atpn_deploy.evaluation.views import Seen

        off = np.array([1.0, 4.0, 2.0, 3.0])[:, None, None] * (1, 0)
        confidence = np.array([0.9, 0.8, 0.1, 0.7])
        return Seen(faces.points + off, np.zeros((4, 3)), confidence)

    def test_the_largest_error_comes_first(self, faces, seen):
        assert worst_first(faces, seen).tolist() == [1, 3, 2, 0]

    def test_without_annotation_the_least_confident_comes_first(self, faces, seen):
        faces.weights[0, 7] = 0

        assert worst_first(faces, seen).tolist() == [2, 3, 1, 0]

    def test_without_annotation_and_confidence_there_is_no_order(self, faces, seen):
        from dataclasses import replace

        faces.weights[0, 7] = 0
        with pytest.raises(DatasetError, match="no confidence to sort by"):
            worst_first(faces, replace(seen, confidence=None))

    def test_each_attribute_has_its_own_worst(self, faces, seen):
        found = worst_by_attribute(faces, seen, 2)

        assert [(name, order.tolist()) for name, order in found] == [
            ("pose", [1, 0]),
            ("blur", [3]),
        ]

    def test_a_cell_holds_image_crop_prediction_and_error_of_its_face(self, faces, seen):
        first, second = sheet_faces(faces, seen, [3, 1])

        assert (first.image == 120).all()
        assert (second.image == 40).all()
        assert first.face.box == box_around(np.array([[30, 30], [90, 80]]))
        assert np.array_equal(first.face.landmarks, seen.landmarks[3])
        ocular = np.linalg.norm(faces.points[0, 60] - faces.points[0, 72])
        assert first.caption == f"NME {100 * 3 / ocular:.1f} %   face 70 %"

    def test_only_the_chosen_images_are_decoded(self, faces, seen):
        from dataclasses import replace

        decoded = []

        class Counted(list):
            def __getitem__(self, index):
                decoded.append(index)
                return super().__getitem__(index)

        sheet_faces(replace(faces, images=Counted(faces.images)), seen, [2])

        assert decoded == [2]
