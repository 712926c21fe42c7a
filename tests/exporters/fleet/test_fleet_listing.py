"""Which files of a folder are worked on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atpn_deploy.errors import FleetError
from atpn_exporters.fleet.listing import Remark, list_videos


def test_videos_of_all_depths_are_listed_the_largest_first(tmp_path: Path) -> None:
    for name, size in (("a.mp4", 1), ("deep/er/b.MKV", 5), ("c.avi", 3), ("b.avi", 3)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)

    videos = list_videos(tmp_path, tmp_path / "results").videos

    assert [video.name for video in videos] == ["deep/er/b.MKV", "b.avi", "c.avi", "a.mp4"]
    assert [video.size_bytes for video in videos] == [5, 3, 3, 1]


def test_what_is_no_video_is_passed_over_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "._a.mp4").touch()
    (tmp_path / "notes.txt").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()

    listing = list_videos(tmp_path, tmp_path / "results")

    assert [video.name for video in listing.videos] == ["a.mp4"]
    assert listing.passed_over == (
        Remark("._a.mp4", "hidden"),
        Remark("notes.txt", "not named as a video"),
        Remark("pipe.mp4", "not a file"),
    )


def test_a_broken_link_is_a_video_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "real.mp4").write_bytes(b"xy")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real.mp4")

    listing = list_videos(tmp_path, tmp_path / "results")

    assert [(v.name, v.size_bytes) for v in listing.videos] == [("link.mp4", 2), ("real.mp4", 2)]
    assert listing.unreadable == (Remark("gone.mp4", "No such file or directory"),)


def test_results_among_the_videos_are_no_input(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4.tracked.mp4").touch()

    assert [v.name for v in list_videos(tmp_path, tmp_path / "out").videos] == ["a.mp4"]


def test_a_circle_of_linked_folders_is_not_walked(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "again").symlink_to(tmp_path)

    assert [v.name for v in list_videos(tmp_path, tmp_path / "out").videos] == ["a.mp4"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "holds no video; expected files that end in .mp4"),
        (("1.png", "2.png"), "holds images and no video; if .* atpn-track .* --model FILE"),
    ],
)
def test_a_folder_without_videos_is_refused(tmp_path: Path, files: list[str], words: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(FleetError, match=words):
        list_videos(tmp_path, tmp_path / "out")


def test_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(FleetError, match=r"a\.mp4 is a file; expected a folder of videos"):
        list_videos(tmp_path / "a.mp4", tmp_path / "out")
    with pytest.raises(FleetError, match="does not exist"):
        list_videos(tmp_path / "b", tmp_path / "out")
