"""Written videos: times, sizes, and a file that can be played however the writing ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import AtpnError, MissingToolError, VideoError
from atpn_deploy.video.frame_writer import FrameFolderWriter, open_writer
from atpn_deploy.video.opening import open_source
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_writer import OUTPUT_SUFFIXES, VideoWriter

pytestmark = pytest.mark.needs("av")

Draw = Callable[..., np.ndarray]
Number = Callable[[np.ndarray], int]


def write(path: Path, images: list[np.ndarray], times: list[float] | None = None) -> None:
    with VideoWriter(path, fps=25) as writer:
        for index, image in enumerate(images):
            writer.write(Frame(index, times[index] if times else index / 25, image))


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        frames = list(source)
        assert (source.problem, source.damaged) == ("", 0)
    return frames


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_frames_come_back_in_order(
    tmp_path: Path, draw_number: Draw, read_number: Number, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"

    write(path, [draw_number(number) for number in range(60)])

    frames = read(path)
    assert [read_number(frame.image) for frame in frames] == list(range(60))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(60) / 25)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("suffix", "tick_s"), [(".mp4", 1 / 90_000), (".mkv", 1e-3)])
def test_the_times_of_the_input_are_kept(
    tmp_path: Path, draw_number: Draw, suffix: str, tick_s: float
) -> None:
    times = [0, 0.02, 0.07123, 0.171, 0.2, 5.5]

    write(tmp_path / f"a{suffix}", [draw_number(number) for number in range(6)], times)

    assert [f.time_s for f in read(tmp_path / f"a{suffix}")] == pytest.approx(times, abs=tick_s / 2)


def test_two_frames_within_a_tick_are_one_tick_apart(tmp_path: Path, draw_number: Draw) -> None:
    write(tmp_path / "a.mkv", [draw_number(n) for n in range(3)], [0, 0.0001, 0.0002])

    assert [frame.time_s for frame in read(tmp_path / "a.mkv")] == [0, 0.001, 0.002]


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_the_last_frame_is_shown_for_its_time(
    tmp_path: Path, draw_number: Draw, suffix: str
) -> None:
    import av

    with VideoWriter(tmp_path / f"a{suffix}", fps=10) as writer:
        writer.write(Frame(0, 0.0, draw_number(0)))

    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert container.duration == 100_000  # microseconds


@pytest.mark.parametrize("shape", [(47, 63), (48, 63), (1, 1), (3, 2)])
def test_odd_sizes_are_made_even_with_their_border(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path / "a.mp4", [np.full((*shape, 3), (200, 90, 30), np.uint8)] * 2)

    image = read(tmp_path / "a.mp4")[1].image

    assert image.shape[:2] == (shape[0] + shape[0] % 2, shape[1] + shape[1] % 2)
    np.testing.assert_allclose(image[-1, -1], (200, 90, 30), atol=6)


def test_another_size_is_scaled_into_the_first_on_black(tmp_path: Path) -> None:
    white = [np.full((48, 64, 3), 255, np.uint8), np.full((200, 100, 3), 255, np.uint8)]

    write(tmp_path / "a.mp4", white)

    first, second = (frame.image.astype(int) for frame in read(tmp_path / "a.mp4"))
    assert first.shape == second.shape == (48, 64, 3)
    assert second[:, 22:42].min() > 235  # 24 pixels wide, in the middle
    assert second[:, :18].max() < 20
    assert second[:, 46:].max() < 20


def test_an_interruption_leaves_what_was_written(
    tmp_path: Path, draw_number: Draw, read_number: Number
) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "a.mp4") as writer:
            for number in range(20):
                writer.write(Frame(number, number / 25, draw_number(number)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    frames = read(tmp_path / "a.mp4")
    assert [read_number(frame.image) for frame in frames] == list(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_killed_program_leaves_a_part_that_plays(tmp_path: Path, suffix: str) -> None:
    program = f"""
import numpy, os, signal
from pathlib import Path
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_writer import VideoWriter

noise = numpy.random.default_rng(1).integers(0, 255, (6, 48, 64, 3), numpy.uint8)
writer = VideoWriter(Path({str(tmp_path / f"a{suffix}")!r}), fps=25)
for index in range(120):
    writer.write(Frame(index, index / 25, noise[index % 6]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)

    assert [entry.name for entry in tmp_path.iterdir()] == [f"a.part{suffix}"]
    with open_source(tmp_path / f"a.part{suffix}") as source:
        assert len(list(source)) >= 50


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path, draw_number: Draw) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    with VideoWriter(path) as writer:
        writer.write(Frame(0, 0.0, draw_number(0)))
        assert path.read_bytes() == b"old"

    assert len(read(path)) == 1


def test_a_suffix_that_cannot_be_written_is_told_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"a\.xyz ends in '\.xyz'; expected one of \.mp4 \.mov"):
        VideoWriter(tmp_path / "a.xyz")


def test_a_wheel_without_the_encoder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av.codec
    from av.codec.codec import UnknownCodecError

    def unknown(name: str, mode: str) -> None:
        raise UnknownCodecError(name)

    monkeypatch.setattr(av.codec, "Codec", unknown)
    with pytest.raises(
        VideoError, match=r"a\.mp4 needs the encoder libx264, which this PyAV lacks"
    ):
        VideoWriter(tmp_path / "a.mp4")


def test_without_pyav_the_pip_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(MissingToolError, match=r"writing videos needs PyAV: pip install .*track"):
        VideoWriter(tmp_path / "a.mp4")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, draw_number: Draw) -> None:
    with pytest.raises(VideoError, match=r"a\.mp4 cannot be written: No such file or directory$"):
        write(tmp_path / "none" / "a.mp4", [draw_number(0)])


def test_a_full_disk_is_told_once(tmp_path: Path, draw_number: Draw) -> None:
    (tmp_path / "a.part.mkv").symlink_to("/dev/full")

    with pytest.raises(VideoError, match=r"a\.mkv cannot be written: No space left on device; .*"):
        write(tmp_path / "a.mkv", [draw_number(number) for number in range(60)])

    assert not (tmp_path / "a.mkv").exists()


def test_a_folder_gets_one_png_a_frame_by_its_number(tmp_path: Path, draw_number: Draw) -> None:
    with FrameFolderWriter(tmp_path / "new" / "out") as writer:
        for index in (0, 10, 20):
            writer.write(Frame(index, index / 25, draw_number(index)))

    folder = tmp_path / "new" / "out"
    names = sorted(entry.name for entry in folder.iterdir())
    assert names == ["000001.png", "000011.png", "000021.png"]
    assert writer.frames_written == 3
    for frame, index in zip(read(folder), (0, 10, 20), strict=True):
        assert np.array_equal(frame.image, draw_number(index))


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()

    with pytest.raises(AtpnError, match="out cannot be written: File exists"):
        FrameFolderWriter(tmp_path / "out")


def test_the_name_decides_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder.d").mkdir()

    assert isinstance(open_writer(tmp_path / "a.mp4"), VideoWriter)
    assert isinstance(open_writer(tmp_path / "folder.d"), FrameFolderWriter)
    assert isinstance(open_writer(tmp_path / "frames"), FrameFolderWriter)
