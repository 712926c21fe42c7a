"""Damaged videos: what can be decoded is delivered, and what is lacking is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import VideoError
from atpn_deploy.video.opening import open_source
from atpn_deploy.video.promised import missing_bytes
from atpn_deploy.video.source import Frame, Source

pytestmark = pytest.mark.needs("av")

FRAMES = 60
Clip = Callable[..., Path]
#: The index comes first, so that what is before the cut can be found.
INDEX_FIRST = {"movflags": "faststart"}


@pytest.fixture(scope="session")
def noisy(draw_number: Callable[..., np.ndarray]) -> list[np.ndarray]:
    """Frames that compress badly, so that their bytes spread over the file."""
    noise = np.random.default_rng(7).integers(-20, 20, (FRAMES, 60, 160, 3))
    images = [draw_number(number, 160, 120).astype(int) for number in range(FRAMES)]
    for image, grain in zip(images, noise, strict=True):
        image[:60] += grain
    return [image.clip(0, 255).astype(np.uint8) for image in images]


def read(path: Path) -> tuple[Source, list[Frame]]:
    with open_source(path) as source:
        return source, list(source)


def cut(path: Path, part: float) -> int:
    """Keep `part` of a file; the number of bytes that are gone."""
    whole = path.stat().st_size
    os.truncate(path, int(whole * part))
    return whole - int(whole * part)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"muxing": INDEX_FIRST}),
        ("a.mov", {"muxing": INDEX_FIRST}),
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_cut_off_video_gives_what_is_there_and_says_so(
    tmp_path: Path,
    clip: Clip,
    noisy: list[np.ndarray],
    read_number: Callable[[np.ndarray], int],
    name: str,
    options: dict[str, object],
    part: float,
) -> None:
    path = clip(tmp_path / name, images=noisy, **options)
    assert missing_bytes(path) == 0
    gone = cut(path, part)

    source, frames = read(path)

    assert part * FRAMES - 8 < len(frames) < FRAMES
    whole = round(part * FRAMES) - 10
    assert [read_number(frame.image) for frame in frames[:whole]] == list(range(whole))
    assert source.problem.startswith(f"{path} is cut off: {gone:,} bytes are missing at its end; ")
    assert source.problem.endswith(f" {len(frames)} of {FRAMES} frames could be read")


def test_a_whole_video_has_no_problem(tmp_path: Path, clip: Clip) -> None:
    source, frames = read(clip(tmp_path / "a.mp4"))

    assert (source.problem, source.damaged, len(frames)) == ("", 0, 30)


def test_without_its_index_an_mp4_cannot_be_read(tmp_path: Path, clip: Clip) -> None:
    path = clip(tmp_path / "a.mp4")
    gone = cut(path, 0.9)

    with pytest.raises(
        VideoError, match=rf"a\.mp4 is cut off: at least {gone:,} bytes .* the\s+index .*again"
    ):
        open_source(path)


def test_cut_off_before_its_first_frame(tmp_path: Path, clip: Clip) -> None:
    path = clip(tmp_path / "a.mkv")
    cut(path, 0.3)

    with pytest.raises(VideoError, match=r"a\.mkv is cut off: .* 0 of 30 frames could be read"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"muxing": INDEX_FIRST}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ],
)
def test_damage_in_the_middle_is_counted_and_the_rest_delivered(
    tmp_path: Path,
    clip: Clip,
    noisy: list[np.ndarray],
    read_number: Callable[[np.ndarray], int],
    name: str,
    options: dict[str, object],
) -> None:
    path = clip(tmp_path / name, images=noisy, **{"options": {"g": "10", "bf": "0"}} | options)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)

    source, frames = read(path)

    assert source.problem == ""
    assert 1 <= source.damaged <= 12
    assert len(frames) >= FRAMES - 12
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers[:20] == list(range(20))
    assert numbers[-15:] == list(range(FRAMES - 15, FRAMES))
    assert frames[-1].time_s == pytest.approx((FRAMES - 1) / 25, abs=2e-3)


def test_a_file_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4 does not exist; expected a video file"):
        open_source(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=r"empty\.mp4 is empty \(0 bytes\)"):
        open_source(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.txt", "text", "text.avi"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("This is a page of plain text.\n" * 100)

    with pytest.raises(VideoError, match=r"text.* (is not a video|holds text)"):
        open_source(path)


def test_a_list_of_files_is_not_followed(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a.mp4", 2)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")

    with pytest.raises(VideoError, match=r"list\.mp4 holds text"):
        open_source(tmp_path / "list.mp4")


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_no_video(tmp_path: Path, song: Callable[..., Path], cover: bool) -> None:
    path = song(tmp_path / "a.mp3", cover=cover)

    with pytest.raises(VideoError, match=r"a\.mp3 holds sound only; expected a file with a video"):
        open_source(path)


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", 0),
        (b"nothing that has a length", 0),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\x01\0mdat", 248),
        (
            b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x01mdat" + (2**33).to_bytes(8, "big"),
            2**33 - 16,
        ),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0mdat" + bytes(50), 0),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\x7f\0\0\0\xff\xfe\0\1trailer", 0),
        (b"RIFF\x64\0\0\0AVI " + bytes(50), 46),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x90" + bytes(6), 10),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7, 0),  # a live recording
        (b"\x1a\x45\xdf\xa3", 0),
    ],
)
def test_what_containers_promise(tmp_path: Path, data: bytes, missing: int) -> None:
    (tmp_path / "a").write_bytes(data)

    assert missing_bytes(tmp_path / "a") == missing
