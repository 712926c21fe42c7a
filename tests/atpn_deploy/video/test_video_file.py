"""Video files: every frame once, in order, upright, at its own time."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atpn_deploy.errors import MissingToolError
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_file import VideoFile

pytestmark = pytest.mark.needs("av")

Clip = Callable[..., Path]
Number = Callable[[np.ndarray], int]


def frames_of(path: Path, **options: Any) -> list[Frame]:
    with VideoFile(path, **options) as source:
        return list(source)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi", "12:30.mp4", "%03d"])
@pytest.mark.parametrize("threads", [1, 0])
def test_every_frame_comes_once_and_in_order(
    tmp_path: Path, clip: Clip, read_number: Number, name: str, threads: int
) -> None:
    path = clip(tmp_path / name, container=None if "." in name else "mp4")

    with VideoFile(path, threads=threads) as source:
        frames = list(source)

    assert [read_number(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert (source.size, source.problem, source.damaged) == ((64, 48), "", 0)
    assert (source.name, source.fps) == (str(path), 25.0)
    assert source.frames_expected == 30


def test_a_frame_is_upright_contiguous_rgb_of_its_own(tmp_path: Path, clip: Clip) -> None:
    first, second, *_ = frames_of(clip(tmp_path / "a.mp4"))

    assert (first.image.shape, first.image.dtype) == ((48, 64, 3), np.uint8)
    assert first.image.flags.c_contiguous
    np.testing.assert_allclose(first.image[4, 48], (220, 20, 20), atol=4)
    kept = second.image.copy()
    first.image[:] = 0
    assert np.array_equal(second.image, kept)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, clip: Clip, name: str) -> None:
    ticks = np.cumsum([0, *[1800, 4511, 9000, 2970] * 7]).tolist()
    images = [np.full((48, 64, 3), 100, np.uint8)] * len(ticks)
    path = clip(tmp_path / name, images=images, times=ticks)

    assert [frame.time_s for frame in frames_of(path)] == [tick / 90_000 for tick in ticks]


def test_matroska_keeps_times_to_its_millisecond(tmp_path: Path, clip: Clip) -> None:
    ticks = [0, 1_800, 6_300, 15_300, 18_270]
    path = clip(tmp_path / "a.mkv", 5, times=ticks)

    times = [frame.time_s for frame in frames_of(path)]

    assert times == [0.0, 0.02, 0.07, 0.17, 0.203]


def test_avi_has_no_order_of_showing_and_still_rises(tmp_path: Path, clip: Clip) -> None:
    # B frames are stored out of order, and AVI doesn't say when they are to be shown.
    path = clip(tmp_path / "b.avi", options={"bf": "2"})

    times = [frame.time_s for frame in frames_of(path)]

    assert times == pytest.approx(np.arange(30) / 25, abs=1e-9)


def test_raw_streams_have_the_nominal_rate(tmp_path: Path, clip: Clip) -> None:
    path = clip(tmp_path / "a.h264", container="h264")

    times = [frame.time_s for frame in frames_of(path)]

    assert times == pytest.approx(np.arange(30) / 25, abs=1e-9)


def test_joined_recordings_go_on_in_time(tmp_path: Path, clip: Clip, read_number: Number) -> None:
    first = clip(tmp_path / "a.ts", 10).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first + first)

    frames = frames_of(joined)

    assert [read_number(frame.image) for frame in frames] == [*range(10), *range(10)]
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(20) / 25, abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_turned_videos_come_upright(
    tmp_path: Path,
    clip: Clip,
    draw_number: Callable[..., Any],
    suffix: str,
    degrees: int,
    mirrored: bool,
) -> None:
    path = clip(tmp_path / f"a{suffix}", 3, turned=(degrees, mirrored))
    expected = np.rot90(draw_number(2), degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected

    with VideoFile(path) as source:
        image = list(source)[2].image

    assert source.size == (image.shape[1], image.shape[0])
    np.testing.assert_allclose(image, expected, atol=60)  # the red corner's edge is blurred
    assert np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.needs("opencv")
def test_opencv_turns_the_same_way(tmp_path: Path, clip: Clip) -> None:
    import cv2

    path = clip(tmp_path / "a.mp4", 1, turned=(90, False))

    capture = cv2.VideoCapture(str(path))
    _, theirs = capture.read()
    capture.release()

    ours = frames_of(path)[0].image
    np.testing.assert_allclose(ours, theirs[..., ::-1], atol=8)


def test_every_tenth_frame_keeps_its_index_and_time(
    tmp_path: Path, clip: Clip, read_number: Number
) -> None:
    path = clip(tmp_path / "a.mp4", 25)

    with VideoFile(path, every=10) as source:
        frames = list(source)

    assert [frame.index for frame in frames] == [0, 10, 20]
    assert [frame.time_s for frame in frames] == [0.0, 0.4, 0.8]
    assert [read_number(frame.image) for frame in frames] == [0, 10, 20]
    assert source.frames_expected == 25


def test_a_size_that_changes_is_delivered_as_it_comes(
    tmp_path: Path, clip: Clip, draw_number: Callable[..., Any], read_number: Number
) -> None:
    large = [draw_number(number, 96, 80) for number in range(10, 20)]
    small = clip(tmp_path / "a.ts", 10)
    big = clip(tmp_path / "b.ts", images=large)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + big.read_bytes())

    frames = frames_of(joined)

    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 10 + [(80, 96, 3)] * 10
    assert [read_number(frame.image) for frame in frames] == list(range(20))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(20) / 25, abs=1e-6)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libx264", "gray"),
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv444p"),
        ("libx264", "yuvj420p"),
        ("ffv1", "bgr0"),
        ("ffv1", "gray16le"),
        ("ffv1", "yuva420p"),
        ("libx264rgb", "rgb24"),
    ],
)
def test_any_pixel_format_is_read(
    tmp_path: Path, clip: Clip, read_number: Number, codec: str, pixels: str
) -> None:
    path = clip(tmp_path / "a.mkv", 5, codec=codec, pixels=pixels)

    frames = frames_of(path)

    assert [read_number(frame.image) for frame in frames] == list(range(5))
    corner = frames[0].image[4, 48].astype(int)
    grey = "gray" in pixels
    np.testing.assert_allclose(corner, [corner[0]] * 3 if grey else (220, 20, 20), atol=6)


def test_odd_sizes_are_read(tmp_path: Path, clip: Clip) -> None:
    image = np.full((47, 63, 3), (10, 200, 90), np.uint8)
    path = clip(tmp_path / "a.mkv", images=[image] * 3, codec="ffv1", pixels="yuv444p")

    frames = frames_of(path)

    assert {frame.image.shape for frame in frames} == {(47, 63, 3)}
    assert all(frame.image.flags.c_contiguous for frame in frames)
    np.testing.assert_allclose(frames[2].image, image, atol=4)


def test_4k_frames_are_read(
    tmp_path: Path, clip: Clip, draw_number: Callable[..., Any], read_number: Number
) -> None:
    images = [draw_number(number, 3840, 2160) for number in (5, 170)]
    path = clip(tmp_path / "a.mp4", images=images, options={"preset": "ultrafast"})

    frames = frames_of(path)

    assert [frame.image.shape for frame in frames] == [(2160, 3840, 3)] * 2
    assert [read_number(frame.image) for frame in frames] == [5, 170]


def test_memory_does_not_grow_with_the_length(tmp_path: Path, clip: Clip) -> None:
    import av

    path = clip(tmp_path / "a.mp4", 2000, options={"preset": "ultrafast"}, turned=(90, False))
    gc.collect()
    gc.disable()  # what only the cycle collector finds would be held for hundreds of frames
    try:
        with VideoFile(path) as source:
            tracemalloc.start()
            size_bytes = [frame.image.nbytes for frame in source]
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        held = sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()

    assert len(size_bytes) == 2000
    assert peak_bytes < 0.02 * sum(size_bytes)
    assert held <= 2


def test_leaving_early_and_asking_for_more_is_no_crash(tmp_path: Path, clip: Clip) -> None:
    with VideoFile(clip(tmp_path / "a.mp4")) as source:
        frames = iter(source)
        next(frames)

    assert list(frames) == []


def test_without_pyav_the_pip_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)

    with pytest.raises(MissingToolError, match=r"reading videos needs PyAV: pip install .*track"):
        VideoFile(tmp_path / "a.mp4")


@pytest.mark.needs("opencv")
def test_pyav_and_opencv_live_in_one_process(tmp_path: Path, clip: Clip) -> None:
    # Each brings an FFmpeg of its own.
    import cv2

    path = clip(tmp_path / "a.mp4", 5)
    capture = cv2.VideoCapture(str(path))
    with VideoFile(path) as source:
        pairs = [(frame.image, capture.read()[1][..., ::-1]) for frame in source]
    capture.release()

    assert len(pairs) == 5
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=8)
