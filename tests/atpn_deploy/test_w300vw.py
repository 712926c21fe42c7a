"""300VW: videos in runs of labelled frames, read one frame at a time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from atpn_deploy.datasets.w300vw import CATEGORIES, w300vw
from atpn_deploy.errors import DatasetError

FRAMES = 12


def write_video(folder: Path, labelled: list[int]) -> None:
    """Twelve frames, each brighter than the last, and .pts files for some, counted from 1."""
    (folder / "annot").mkdir(parents=True)
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(folder / "vid.avi"), codec, 25.0, (64, 48))
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    for frame in labelled:
        rows = "\n".join(f"{frame} {k}" for k in range(1, 69))
        text = f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n"
        (folder / "annot" / f"{frame:06}.pts").write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_video(tmp_path / "002", [*range(3, 6), 8, 9])
    write_video(tmp_path / "001", [1])
    write_video(tmp_path / "114", [1, 2])
    return tmp_path


def test_a_gap_divides_a_video(root: Path) -> None:
    sequences = w300vw(root, "train")
    assert [(s.name, s.first, len(s)) for s in sequences] == [
        ("001", 0, 1),
        ("002", 2, 3),
        ("002", 7, 2),
    ]
    assert sequences[1].points.shape == (3, 68, 2)
    assert sequences[1].points[0, 0].tolist() == [2.5, 0.5]  # frame 3, counted from 1
    assert {s.category for s in sequences} == {"train"}


def test_frames_come_in_order_and_beside_their_points(root: Path) -> None:
    for sequence in w300vw(root, "train"):
        levels = [frame.mean() for frame in sequence.frames()]
        expected = 20 * np.arange(sequence.first, sequence.first + len(sequence))
        np.testing.assert_allclose(levels, expected, atol=3)
        assert np.array_equal(sequence.points[:, 0, 0] + 0.5, expected / 20 + 1)


def test_colours_are_rgb(root: Path) -> None:
    folder = root / "003"
    write_video(folder, [1])
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(folder / "vid.avi"), codec, 25.0, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # red, as OpenCV has it
    writer.release()
    frame = next(w300vw(root, "train")[-1].frames())
    assert frame[10, 10, 0] > 200
    assert frame[10, 10, 2] < 60


def test_the_categories_are_the_official_64_videos() -> None:
    assert {name: len(videos) for name, videos in CATEGORIES.items()} == {"A": 31, "B": 19, "C": 14}
    assert len({video for videos in CATEGORIES.values() for video in videos}) == 64


def test_a_category_needs_all_of_its_videos(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"124/vid\.avi does not exist"):
        w300vw(root, "A")


def test_a_video_that_ends_too_soon_is_named(root: Path) -> None:
    annot = root / "001" / "annot"
    for frame in range(2, FRAMES + 2):
        (annot / f"{frame:06}.pts").write_text((annot / "000001.pts").read_text())
    frames = w300vw(root, "train")[0].frames()
    with pytest.raises(DatasetError, match=r"vid\.avi ends before frame 13, .*000013\.pts"):
        list(frames)


def test_a_damaged_video_is_named_when_its_frames_are_asked_for(root: Path) -> None:
    (root / "001" / "vid.avi").write_bytes(b"no video")
    sequence = w300vw(root, "train")[0]
    with pytest.raises(DatasetError, match=r"001/vid\.avi is no video"):
        next(sequence.frames())


def test_what_is_wrong_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'D'; choose one of train, A, B, C"):
        w300vw(root, "D")
    with pytest.raises(DatasetError, match="is not a folder; expected the folder of 300VW"):
        w300vw(root / "gone", "train")
    with pytest.raises(DatasetError, match="holds no videos of the split 'train'"):
        w300vw(root / "001", "train")
    (root / "002" / "annot" / "000003.pts").write_text("n_points: 68\n{\n1 2\n}\n")
    with pytest.raises(DatasetError, match=r"000003\.pts: 1 points came, 68 were expected"):
        w300vw(root, "train")
    (root / "002" / "annot" / "3.pts").write_text("")
    with pytest.raises(DatasetError, match=r"3\.pts is not named after a frame"):
        w300vw(root, "train")
    for path in (root / "001" / "annot").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"001/annot holds no \.pts files"):
        w300vw(root, "train")
