from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atpn_deploy.errors import CalibrationError
from atpn_exporters.calibration import (
    ENOUGH_CROPS,
    MAX_SPLIT_HALF,
    Calibration,
    Manifest,
    crops_digest,
    crops_from_folder,
    load_calibration,
    merged,
    split_half,
)

RANGES = {"full": {"conv": (-1.0, 2.5), "relu": (0.0, 2.5)}}


def saved(path: Path) -> Path:
    manifest = Manifest(64, "ab" * 32, "faces", split_half={"tflite/full": 0.02})
    Calibration("c" * 64, manifest, {"tflite": RANGES}).save(path)
    return path


def test_round_trip(tmp_path: Path) -> None:
    calibration = load_calibration(saved(tmp_path / "c.json"), "c" * 64)
    assert calibration.for_signatures("tflite", ("full",)) == RANGES
    assert calibration.manifest.count == 64


def test_cache_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="belongs to the checkpoint cccccc"):
        load_calibration(saved(tmp_path / "c.json"), "d" * 64)


def test_missing_signature_is_named(tmp_path: Path) -> None:
    calibration = load_calibration(saved(tmp_path / "c.json"), "c" * 64)
    with pytest.raises(CalibrationError, match="no ranges for onnx full"):
        calibration.for_signatures("onnx", ("full",))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"manifest": 1}', json.dumps({"ranges": 3})])
def test_damaged_cache_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(damage)
    with pytest.raises(CalibrationError, match="is no calibration cache"):
        load_calibration(path, "c" * 64)


def test_missing_cache_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="--calibration DIR"):
        load_calibration(tmp_path / "none.json", "c" * 64)


def test_halves_are_merged_to_the_wider_range() -> None:
    assert merged(({"a": (-1, 2)}, {"a": (-3, 1)})) == {"a": (-3, 2)}


def test_split_half_is_the_disagreement_over_the_range() -> None:
    # minima differ by 2, maxima by 1, the whole range is 5
    assert split_half(({"a": (-1, 2)}, {"a": (-3, 1)})) == pytest.approx(3 / 5)
    assert split_half(({"a": (0, 2)}, {"a": (0, 2)})) == 0


@pytest.mark.parametrize(
    ("count", "split", "said"),
    [
        (ENOUGH_CROPS, MAX_SPLIT_HALF, ""),
        (ENOUGH_CROPS, MAX_SPLIT_HALF + 0.01, "halves see ranges that differ by 26%"),
        (ENOUGH_CROPS - 1, 0.0, "too small to leave an outlier out"),
    ],
)
def test_too_small_a_set_is_said_to_be(count: int, split: float, said: str) -> None:
    manifest = Manifest(count, "ab" * 32, "faces", split_half={"tflite/full": split})
    assert said in manifest.too_small
    assert bool(said) is bool(manifest.too_small)


def test_folder_of_crops_of_any_size(tmp_path: Path) -> None:
    for number in range(8):
        side = 112 if number % 2 else 224
        Image.new("RGB", (side, side), (number, 100, 200)).save(tmp_path / f"{number}.png")
    crops = crops_from_folder(tmp_path)
    assert crops.shape == (8, 112, 112, 3)
    np.testing.assert_array_equal(crops[5], np.broadcast_to([5, 100, 200], (112, 112, 3)))


def test_oblong_image_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "wide.png")
    with pytest.raises(CalibrationError, match=r"wide\.png is 30x20"):
        crops_from_folder(tmp_path)


def test_too_few_images_are_counted(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "one.png")
    with pytest.raises(CalibrationError, match="holds 1 images"):
        crops_from_folder(tmp_path)


def test_digest_is_of_the_pixels() -> None:
    crops = np.zeros((2, 112, 112, 3), np.uint8)
    other = crops.copy()
    other[1, 5, 5, 0] = 1
    assert crops_digest(crops) == crops_digest(crops.copy()) != crops_digest(other)
