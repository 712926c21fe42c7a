"""The frames that loops are timed on: bounded, resized, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks.loop import clip
from atpn_benchmarks.loop.clip import parse_size, read_clip
from atpn_deploy.errors import ConfigError, VideoError
from atpn_deploy.photo import write_photo

pytestmark = pytest.mark.needs("opencv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve frames, each of one grey: 0, 10, 20 ..."""
    for k in range(12):
        write_photo(np.full((30, 40, 3), 10 * k, np.uint8), tmp_path / f"{k}.png")
    return tmp_path


def test_the_first_frames_are_kept_in_order(folder: Path) -> None:
    made = read_clip(folder, most=5)

    assert [int(frame.image[0, 0, 0]) for frame in made.frames] == [0, 10, 20, 30, 40]
    assert made.size == (40, 30)
    assert made.name == folder.name


def test_frames_are_resized_whole(folder: Path) -> None:
    made = read_clip(folder, most=20, size=(20, 10))

    assert len(made.frames) == 12
    assert {frame.image.shape for frame in made.frames} == {(10, 20, 3)}
    assert set(made.frames[3].image.flat) == {30}


def test_memory_is_bounded_whatever_the_frames_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "MOST_BYTES", 3 * 30 * 40 * 3)

    assert len(read_clip(folder, most=12).frames) == 3


def test_a_folder_without_frames_says_so(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="expected a folder of frames"):
        read_clip(tmp_path, most=5)


def test_frames_that_cannot_be_read_are_no_clip(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(VideoError, match="gave no frame"):
        read_clip(tmp_path, most=5)


@pytest.mark.parametrize("text", ["400", "400x", "0x300", "400x300x2", "-4x3", "axb"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected WIDTHxHEIGHT"):
        parse_size(text)


def test_a_size_is_width_and_height() -> None:
    assert parse_size("400x300") == (400, 300)
