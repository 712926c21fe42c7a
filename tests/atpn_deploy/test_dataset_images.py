"""Images decoded when they are asked for: files, zip members, regions, and what is damaged."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.datasets.images import (
    REGION,
    Cached,
    ImageFiles,
    Regions,
    ZipImages,
    decode,
    read_image,
)
from atpn_deploy.errors import DatasetError

Image = NDArray[np.uint8]


class Counting(Sequence[Image]):
    """Grey images that count how often they are asked for; negative ones are damaged."""

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = levels
        self.asked = 0

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        self.asked += 1
        if self.levels[index] < 0:
            raise DatasetError(f"image {index} is damaged")
        return np.full((4, 5, 3), self.levels[index], np.uint8)


def test_an_image_is_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4, 3), (1, 2, 3), np.uint8))  # BGR
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [3, 2, 1]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_truncated_jpeg_is_named(tmp_path: Path, write_photo, share: float) -> None:
    path = write_photo(tmp_path / "half.jpg")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DatasetError, match=r"half\.jpg is (a truncated JPEG|no image)"):
        ImageFiles([path])[0]


def test_a_jpeg_cut_in_its_picture_is_called_truncated(tmp_path: Path, write_photo) -> None:
    whole = write_photo(tmp_path / "a.jpg").read_bytes()
    with pytest.raises(DatasetError, match="mine is a truncated JPEG"):
        decode(whole[:-30], "mine")
    assert decode(whole + b"\0\0trailing", "mine").shape == (160, 200, 3)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.png is no image"):
        read_image(tmp_path / "a.png")


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.jpg cannot be read: No such file"):
        read_image(tmp_path / "gone.jpg")


def zipped(folder: Path, write_photo, names: Sequence[str]) -> Path:
    archive = folder / "images.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for number, name in enumerate(names):
            photo = write_photo(folder / "photo.png", size=(10 + number, 8))
            opened.write(photo, name)
    return archive


def test_zip_members_come_by_name_and_in_other_processes(tmp_path: Path, write_photo) -> None:
    archive = zipped(tmp_path, write_photo, ["a.png", "b.png", "c.png"])
    images = ZipImages(archive, ["c.png", "a.png"])
    assert [image.shape[1] for image in images] == [12, 10]
    assert pickle.loads(pickle.dumps(images))[1].shape[1] == 10
    images._open = (os.getpid() + 1, None)  # type: ignore[assignment]  # as after a fork
    assert images[0].shape[1] == 12


def test_a_missing_member_is_named_at_once(tmp_path: Path, write_photo) -> None:
    archive = zipped(tmp_path, write_photo, ["a.png"])
    with pytest.raises(DatasetError, match=r"no member 'b\.png' \(1 of 2 are missing\)"):
        ZipImages(archive, ["a.png", "b.png"])


def test_a_damaged_member_is_named_when_its_turn_comes(tmp_path: Path, write_photo) -> None:
    archive = zipped(tmp_path, write_photo, ["a.png", "b.png"])
    content = bytearray(archive.read_bytes())
    content[60] ^= 255  # within the first member
    archive.write_bytes(content)
    images = ZipImages(archive, ["a.png", "b.png"])
    assert images[1].shape == (8, 11, 3)
    with pytest.raises(DatasetError, match=r"a\.png in .*images\.zip cannot be read: Bad CRC"):
        images[0]


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_a_missing_or_foreign_zip_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "images.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"images\.zip (does not exist|is damaged or no zip)"):
        ZipImages(tmp_path / "images.zip", ["a.png"])


@pytest.mark.parametrize("largest", [None, 60])
@pytest.mark.parametrize("box", [(60, 40, 110, 100), (70, 50, 90, 66), (-10, 20, 90, 90)])
def test_points_stay_on_their_pixels(
    tmp_path: Path, write_photo, dot_centre, box: tuple[int, ...], largest: int | None
) -> None:
    photo = write_photo(tmp_path / "a.png", dot=(80, 60))
    boxes = np.array([box], np.float32)
    regions = Regions(ImageFiles([photo]), boxes, ["a"], largest)
    side = REGION * max(box[2] - box[0], box[3] - box[1])
    height, width, _ = regions[0].shape
    assert height == width
    assert height == pytest.approx(min(side, largest or np.inf), abs=1)
    moved = regions.to_region(np.array([[[84, 64]]], np.float32))[0, 0]
    np.testing.assert_allclose(dot_centre(regions[0]), moved, atol=0.05)


def test_outside_the_photograph_its_border_is_repeated(tmp_path: Path) -> None:
    photo = np.arange(20 * 30 * 3, dtype=np.uint64).reshape(20, 30, 3).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), photo[..., ::-1])
    box = np.array([[22, 2, 32, 12]], np.float32)
    region = Regions(ImageFiles([tmp_path / "a.png"]), box, ["a"], None)[0]
    assert region.shape == (24, 24, 3)  # 15..39 across, -5..19 down
    np.testing.assert_array_equal(region[5:, :15], photo[:19, 15:])
    np.testing.assert_array_equal(region[:5, :15], np.repeat(photo[:1, 15:], 5, 0))
    np.testing.assert_array_equal(region[5:, 15:], np.repeat(photo[:19, -1:], 9, 1))


@pytest.mark.parametrize(
    ("box", "fine"),
    [
        ((170, 50, 229, 110), True),  # 29 of 59 pixels are outside
        ((172, 50, 233, 110), False),
        ((-31, 50, 29, 110), False),
        ((50, -29, 110, 31), True),
        ((50, 131, 110, 191), False),
    ],
)
def test_a_face_more_than_half_outside_is_an_error(
    tmp_path: Path, write_photo, box: tuple[int, ...], fine: bool
) -> None:
    photo = write_photo(tmp_path / "a.png", size=(200, 160))
    regions = Regions(ImageFiles([photo]), np.array([box], np.float32), ["list.txt:7 (a.png)"])
    if fine:
        assert regions[0].ndim == 3
        return
    with pytest.raises(DatasetError, match=r"list\.txt:7 \(a\.png\): the face .* more than half"):
        regions[0]


def test_a_cache_asks_once_and_within_its_limit() -> None:
    images = Counting([1, 2, 3])
    cached = Cached(images, limit_bytes=2 * 4 * 5 * 3)
    for _ in range(3):
        assert [int(cached[i][0, 0, 0]) for i in range(3)] == [1, 2, 3]
    assert images.asked == 2 + 3  # the third does not fit and is asked for each time


def test_what_a_cache_keeps_cannot_be_painted_over() -> None:
    cached = Cached(Counting([1]))
    with pytest.raises(ValueError, match="read-only"):
        cached[0][0, 0] = 9
