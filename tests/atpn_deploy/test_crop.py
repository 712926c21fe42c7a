"""The crop contract against a slow reference, and the vectors that a port is checked with.

Run as a script, this file writes `crop_vectors.json` anew.
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atpn_deploy import crop_bands, tracking
from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.tracking.vectors import crop_mismatches, pattern

VECTORS = Path(tracking.__path__[0]) / "crop_vectors.json"
#: Float32 and float64 may round a value this near to a half differently, by one level.
TIE = 1e-3


def exact(image: np.ndarray, box: Box) -> np.ndarray:
    """The documented rule, sample by sample in float64: (112, 112, 3) before rounding."""
    height, width = image.shape[:2]
    n = max(1, math.ceil(box.side / CROP_SIDE))
    step = box.side / (CROP_SIDE * n)
    pixels = image.astype(np.float64)
    crop = np.zeros((CROP_SIDE, CROP_SIDE, 3))
    for i in range(CROP_SIDE):
        for j in range(CROP_SIDE):
            y = box.top + (n * i + np.arange(n)[:, None] + 0.5) * step - 0.5
            x = box.left + (n * j + np.arange(n)[None, :] + 0.5) * step - 0.5
            y0, x0 = np.floor(y), np.floor(x)
            fy, fx = (y - y0)[..., None], (x - x0)[..., None]
            rows = [np.clip(y0 + k, 0, height - 1).astype(int) for k in (0, 1)]
            columns = [np.clip(x0 + k, 0, width - 1).astype(int) for k in (0, 1)]
            upper = pixels[rows[0], columns[0]] * (1 - fx) + pixels[rows[0], columns[1]] * fx
            lower = pixels[rows[1], columns[0]] * (1 - fx) + pixels[rows[1], columns[1]] * fx
            crop[i, j] = (upper * (1 - fy) + lower * fy).mean((0, 1))
    return crop


#: What each vector is about, its image (width, height) and its box (left, top, side).
CASES = (
    ("one to one", (160, 120), (4, 3, 112)),
    ("half a pixel aside", (160, 120), (4.5, 3.5, 112)),
    ("enlarged", (160, 120), (20.25, 10.75, 40.5)),
    ("just above one to one: 2 x 2 samples", (160, 160), (10, 10, 112.5)),
    ("reduced 2.5 times: 3 x 3 samples", (400, 360), (30.3, 20.7, 280)),
    ("reduced 10 times: 10 x 10 samples", (1200, 1200), (12.5, 40.25, 1120)),
    ("over the left and top border", (160, 120), (-30.5, -20.25, 112)),
    ("over the right and bottom border", (160, 120), (90, 70.5, 100)),
    ("larger than the image", (90, 60), (-40, -60, 200)),
    ("wholly outside", (50, 40), (60, -90, 30)),
    ("a tiny box", (64, 64), (31.2, 17.9, 0.75)),
    ("an image of one pixel", (1, 1), (-2, -3, 9)),
)


def agrees(crop: np.ndarray, reference: np.ndarray) -> bool:
    """Equal but for halves, which may go either way."""
    difference = np.abs(crop.astype(np.float64) - np.rint(reference))
    return bool((difference <= ties(reference)).all())


def ties(reference: np.ndarray) -> np.ndarray:
    return np.abs(reference % 1 - 0.5) < TIE


@pytest.mark.parametrize(("name", "size", "box"), CASES, ids=[case[0] for case in CASES])
def test_cut_is_what_the_page_says(name, size, box):
    image = pattern(*size)

    crop = cut(image, Box(*box))

    assert crop.shape == (CROP_SIDE, CROP_SIDE, 3)
    assert crop.dtype == np.uint8
    assert crop.flags["C_CONTIGUOUS"]
    assert agrees(crop, exact(image, Box(*box)))


def test_a_shifted_crop_would_be_noticed():
    image = pattern(160, 120)

    assert not agrees(cut(image, Box(4.1, 3, 112)), exact(image, Box(4, 3, 112)))


@settings(max_examples=6, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corner=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    side=st.floats(0.01, 300),
)
def test_any_box_on_any_image(size, corner, side):
    image = pattern(*size)

    assert agrees(cut(image, Box(*corner, side)), exact(image, Box(*corner, side)))


def test_one_to_one_copies_pixels():
    image = pattern(200, 150)

    assert np.array_equal(cut(image, Box(7, 5, 112)), image[5:117, 7:119])


def test_a_whole_reduction_averages_blocks():
    image = pattern(224, 224)
    blocks = image.reshape(112, 2, 112, 2, 3).mean((1, 3))

    assert agrees(cut(image, Box(0, 0, 224)), blocks)


def test_outside_the_image_the_border_pixel_goes_on():
    image = pattern(160, 120)

    crop = cut(image, Box(-112, 4, 112))

    assert np.array_equal(crop, np.repeat(image[4:116, :1], 112, 1))


def test_even_colours_stay_what_they_are():
    for side in (3.3, 112, 113, 400, 1000.7):
        assert set(cut(np.full((300, 300, 3), 255, np.uint8), Box(-20, 5, side)).flat) == {255}


def test_a_view_that_is_not_contiguous_is_cut_the_same():
    image = pattern(300, 280)
    box = Box(20.5, 30.1, 150)

    assert np.array_equal(cut(image[::-1, ::-1], box), cut(image[::-1, ::-1].copy(), box))


@pytest.mark.parametrize(
    "box", [(math.nan, 0, 9), (0, -math.inf, 9), (0, 0, math.nan), (0, 0, -1), (0, 0, math.inf)]
)
def test_a_box_that_is_no_square_is_refused(box):
    with pytest.raises(ValueError, match="expected finite numbers and a side of 0 or more"):
        cut(pattern(20, 10), Box(*box))


def test_a_crop_stays_when_the_next_one_is_cut():
    image = pattern(300, 280)
    first = cut(image, Box(20.5, 30.1, 150))
    kept = first.copy()

    cut(image, Box(0, 0, 200))

    assert np.array_equal(first, kept)


def test_threads_do_not_disturb_each_other():
    image = pattern(700, 700)
    boxes = [Box(3.5 * k, 2.1 * k, 60 + 30.7 * k) for k in range(16)]

    with ThreadPoolExecutor(4) as pool:
        crops = list(pool.map(partial(cut, image), boxes * 8))

    alone = [cut(image, box) for box in boxes]
    assert all(np.array_equal(crop, alone[k % 16]) for k, crop in enumerate(crops))


@pytest.mark.parametrize("side", [100, 350, 700, 1500, 3500])
def test_the_number_of_bands_changes_nothing(side, monkeypatch):
    image, box = pattern(800, 600), Box(-40.3, 20.9, side)
    chosen = cut(image, box)

    monkeypatch.setattr(crop_bands, "QUICK_PRODUCT", math.inf)  # the fewest

    difference = np.abs(chosen.astype(int) - cut(image, box))
    assert (difference <= 1).all()
    # Halves may go either way.
    assert np.count_nonzero(difference) <= difference.size // 1000


def test_box_around_extends_the_longer_side_by_a_quarter_at_both_ends():
    points = np.array([(10, 20), (50, 100), (30, 60)])

    box = box_around(points)

    assert box == Box(30 - 60, 60 - 60, 120)


def test_points_go_to_the_crop_and_back():
    box, points = Box(-12.5, 30.25, 77.7), np.array([(3.5, 40.0), (60.0, 90.0)])

    assert box.to_image(box.from_image(points)) == pytest.approx(points)
    assert box.to_image(np.array([(0, 0), (1, 1)])).tolist() == [
        [-12.5, 30.25],
        [-12.5 + 77.7, 30.25 + 77.7],
    ]


def test_the_vectors_hold():
    vectors = json.loads(VECTORS.read_text())
    assert [case["name"] for case in vectors["cases"]] == [case[0] for case in CASES]
    assert [line for case in vectors["cases"] for line in crop_mismatches(case)] == []


def test_a_crop_that_is_not_the_vectors_is_told():
    (case,) = [
        case for case in json.loads(VECTORS.read_text())["cases"] if case["name"] == "one to one"
    ]
    aside = case | {"box": [4.5, 3, 112]}

    lines = list(crop_mismatches(aside))

    assert len(lines) > 2
    assert "row 0, column 0 is" in lines[0]
    assert "the sums are" in lines[-1]


def test_the_vectors_are_what_the_slow_reference_gives():
    vectors = json.loads(VECTORS.read_text())
    assert vectors == described(("an image of one pixel", "enlarged"), vectors)


def described(only: tuple[str, ...], base: dict | None = None) -> dict:
    """The vectors; with `base`, that one with the cases named in `only` computed anew."""
    cases = []
    for name, size, box in CASES:
        if base is not None and name not in only:
            cases.append(next(case for case in base["cases"] if case["name"] == name))
            continue
        values = exact(pattern(*size), Box(*box))
        # Pixels spread over the crop that are no near halves, so that every port must meet them.
        settled = (np.abs(values % 1 - 0.5) > 0.02).all(-1)
        spots = [(i, j) for i in range(0, 112, 37) for j in range(0, 112, 37) if settled[i, j]]
        rounded = np.rint(values).astype(int)
        cases.append(
            {
                "name": name,
                "image": list(size),
                "box": list(box),
                "sums": rounded.reshape(-1, 3).sum(0).tolist(),
                "sum_tolerance": ties(values).reshape(-1, 3).sum(0).tolist(),
                "pixels": [
                    {"row": i, "column": j, "rgb": rounded[i, j].tolist()} for i, j in spots
                ],
            }
        )
    return {
        "about": "docs/crop.md says what this is; tests/atpn_deploy/test_crop.py writes it",
        "image": "(width, height) of the pattern: R = (7 row + 3 column) mod 256, "
        "G = (row column) mod 256, B = 255 ((row div 8 + column div 8) mod 2)",
        "sums": "of each channel; exact halves may change them by sum_tolerance",
        "cases": cases,
    }


if __name__ == "__main__":
    facts = described(())
    lines = ",\n".join("  " + json.dumps(case) for case in facts.pop("cases"))
    head = json.dumps(facts, indent=1)[:-2]
    VECTORS.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
