"""Cameras, with a capture that gives what a test says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np
import pytest

from atpn_deploy.errors import MissingToolError, VideoError
from atpn_deploy.video.camera import Camera
from atpn_deploy.video.opening import open_source


class FakeCapture:
    """Gives pictures as OpenCV does; None is a frame that fails to come, "bad" a broken one."""

    def __init__(self, script: Iterable[object], fps: float = 30.0) -> None:
        self._script: Iterator[object] = iter(script)
        self._now: object = None
        self._fps = fps
        self.retrieved = 0
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def grab(self) -> bool:
        assert not self.released
        self._now = next(self._script, None)
        return self._now is not None

    def retrieve(self) -> tuple[bool, np.ndarray]:
        self.retrieved += 1
        if isinstance(self._now, str):
            return False, np.zeros(0)
        return True, np.asarray(self._now)

    def get(self, property_: int, /) -> float:
        return {5: self._fps}.get(property_, 0.0)

    def release(self) -> None:
        self.released = True


PICTURE = np.full((48, 64, 3), (10, 20, 200), np.uint8)  # red, as OpenCV has it


def camera(script: Iterable[object], **options) -> tuple[Camera, FakeCapture, list[float]]:
    """A camera whose clock ticks a tenth of a second at each look, and the pauses it made."""
    capture = FakeCapture(script)
    ticks = count(100)
    pauses: list[float] = []
    opened = Camera(
        "0",
        open_capture=lambda address: capture,
        clock=lambda: next(ticks) / 10,
        sleep=pauses.append,
        **options,
    )
    return opened, capture, pauses


def test_frames_are_rgb_at_the_time_they_came() -> None:
    source, capture, _ = camera([PICTURE] * 3)
    assert (source.name, source.size, source.fps) == ("camera 0", (64, 48), 30.0)
    assert source.frames_expected is None

    with source:
        frames = list(source)

    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert frames[0].image[0, 0].tolist() == [200, 20, 10]
    assert all(frame.image.flags.c_contiguous for frame in frames)
    assert capture.released


def test_a_camera_that_disappears_ends_the_source_and_takes_nothing_back() -> None:
    source, _, pauses = camera([PICTURE] * 5)

    with source:
        frames = list(source)

    assert len(frames) == 5
    assert sum(pauses) == pytest.approx(2)
    assert source.problem == (
        "camera 0 gave no frame for 2 s, after 5 frames; "
        "it is unplugged, in use elsewhere or has ended"
    )


def test_a_stutter_is_no_end() -> None:
    source, _, pauses = camera([PICTURE, None, None, PICTURE])

    frames = list(source)

    assert len(frames) == 2
    assert len(pauses) == 2 + 20


def test_a_broken_frame_is_counted() -> None:
    source, _, _ = camera([PICTURE, "bad", PICTURE])

    assert [frame.index for frame in source] == [0, 2]
    assert source.damaged == 1


def test_frames_that_are_not_wanted_are_not_decoded() -> None:
    source, capture, _ = camera([PICTURE] * 7, every=3)

    assert [frame.index for frame in source] == [0, 3, 6]
    assert capture.retrieved == 3


def test_a_grey_camera_gives_rgb() -> None:
    source, _, _ = camera([np.full((4, 6), 77, np.uint8)])

    assert next(iter(source)).image.tolist() == np.full((4, 6, 3), 77).tolist()


def test_a_camera_without_a_first_frame_is_an_error() -> None:
    with pytest.raises(VideoError, match="camera 0 gave no frame for 2 s, after 0 frames"):
        camera([])


@pytest.mark.parametrize("stated", [0.0, -1.0, 90_000.0, float("nan")])
def test_a_rate_that_cannot_be_is_none(stated: float) -> None:
    source = Camera("0", open_capture=lambda address: FakeCapture([PICTURE], stated))

    assert source.fps is None


@pytest.mark.needs("opencv")
@pytest.mark.parametrize("address", ["97", "rtsp://127.0.0.1:9/none", "/dev/null"])
def test_no_camera_is_told_in_one_line(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VideoError, match=f"^camera {address} does not answer; expected the number"):
        open_source(address)

    assert capfd.readouterr().err == ""


def test_without_opencv_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)

    with pytest.raises(MissingToolError, match=r"cameras need OpenCV: pip install .*track"):
        open_source("0")
