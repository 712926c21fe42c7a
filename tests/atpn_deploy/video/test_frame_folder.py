"""Folders of frames and single photographs as sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import ConfigError, ImageError, VideoError
from atpn_deploy.photo import write_photo
from atpn_deploy.video.opening import is_photo, is_video, open_source

#: In the order in which they are to come.
NAMES = ("1.png", "frame2.jpg", "frame10.png", "Frame11.png", "frame101.bmp", "other.png")


def image(level: int, width: int = 8, height: int = 6) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, name in enumerate(NAMES):
        write_photo(image(10 * number), frames / name)
    (frames / ".hidden.png").write_bytes(b"")
    (frames / "notes.txt").write_text("no frame")
    (frames / "sub.png").mkdir()
    return frames


def test_frames_come_in_natural_order(folder: Path) -> None:
    with open_source(folder) as source:
        frames = list(source)

    assert [frame.image[0, 0, 0] // 10 for frame in frames] == list(range(6))
    assert [frame.index for frame in frames] == list(range(6))
    assert (source.frames_expected, source.fps, source.problem) == (6, 25.0, "")


def test_times_are_those_of_the_given_rate(folder: Path) -> None:
    assert [frame.time_s for frame in open_source(folder, fps=10)] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_every_third_frame_keeps_index_and_time(folder: Path) -> None:
    (folder / "frame2.jpg").write_bytes(b"is not looked at")

    frames = list(open_source(folder, every=3, fps=10))

    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0), (3, 0.3)]


def test_sizes_may_differ(folder: Path) -> None:
    write_photo(image(50, 20, 10), folder / "other.png")

    with open_source(folder) as source:
        shapes = [frame.image.shape for frame in source]

    assert shapes == [(6, 8, 3)] * 5 + [(10, 20, 3)]
    assert source.size == (8, 6)


def test_a_damaged_frame_is_counted_and_its_number_stays_free(folder: Path) -> None:
    (folder / "frame10.png").write_bytes(b"")

    with open_source(folder) as source:
        indices = [frame.index for frame in source]

    assert indices == [0, 1, 3, 4, 5]
    assert (source.damaged, source.problem) == (1, "")


def test_when_no_frame_can_be_read_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"text")

    with open_source(tmp_path) as source:
        assert list(source) == []

    assert (
        source.problem == f"of 2 images none can be read: {tmp_path}/a.png is empty (0 bytes); "
        "expected an image file"
    )


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"is empty; expected a folder of frames \(\.jpg"):
        open_source(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(VideoError, match="holds no image; expected a folder of frames"):
        open_source(tmp_path)


def test_a_folder_of_videos_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.MP4").touch()
    (tmp_path / "b.webm").touch()

    with pytest.raises(VideoError, match=r"holds no images but 2 videos.* type: atpn-track many "):
        open_source(tmp_path)


def test_videos_are_known_by_name() -> None:
    assert [is_video(Path(name)) for name in ("a.mp4", "b.MKV", "c.png", "mp4")] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(folder: Path, fps: float) -> None:
    with pytest.raises(ConfigError, match="frames a second came; expected more than 0"):
        open_source(folder, fps=fps)


def test_a_rate_is_for_folders_alone(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.png is no folder of frames; .* not fps 30"):
        open_source(folder / "1.png", fps=30)


def test_every_is_at_least_one(folder: Path) -> None:
    with pytest.raises(ConfigError, match="every 0 came; expected 1"):
        open_source(folder, every=0)


@pytest.mark.parametrize("name", ["frame2.jpg", "photo", "photo.dat", "7"])
def test_a_photograph_is_one_frame_whatever_its_name(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / name).write_bytes((folder / "frame2.jpg").read_bytes())
    monkeypatch.chdir(folder)

    with open_source(name) as source:
        frames = list(source)

    assert [(frame.index, frame.time_s, frame.image.shape) for frame in frames] == [
        (0, 0.0, (6, 8, 3))
    ]
    assert (source.size, source.frames_expected, source.fps) == ((8, 6), 1, None)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tif", ".jpg"])
def test_images_are_known_by_their_first_bytes(tmp_path: Path, suffix: str) -> None:
    write_photo(image(90), tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").rename(tmp_path / "a")

    assert open_source(tmp_path / "a").frames_expected == 1


def test_an_address_is_no_photograph(tmp_path: Path) -> None:
    assert is_photo("missing.jpg")
    assert not is_photo("http://camera/still.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert not is_photo(tmp_path / "folder.jpg")


def test_a_damaged_photograph_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")

    with pytest.raises(ImageError, match=r"a\.jpg is not an image"):
        open_source(tmp_path / "a.jpg")


def test_a_folder_that_is_missing_is_no_question_of_its_clock(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="none does not exist; expected a folder of frames"):
        open_source(tmp_path / "none", fps=10)
