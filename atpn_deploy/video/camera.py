"""Cameras: OpenCV's capture, by number, device or address, on the clock of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.errors import MissingToolError, VideoError
from atpn_deploy.native_stderr import captured_stderr
from atpn_deploy.video.source import Frame

if TYPE_CHECKING:
    from cv2.typing import MatLike

#: How often a camera that gives no frame is asked again, and how long is waited before each time.
RETRIES = 20
PAUSE_S = 0.1
#: OpenCV's number for the frames a second that a driver states.
FPS_PROPERTY = 5
#: What an address may take to answer, and to send its next frame.
ANSWER_MS = 10_000


class Capture(Protocol):
    """As much of `cv2.VideoCapture` as is used here."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Whether there is a camera."""

    def grab(self) -> bool:
        """Wait for a frame; whether one came."""

    def retrieve(self) -> tuple[bool, MatLike]:
        """Decode it: (H, W, 3) blue, green, red, or (H, W)."""

    def get(self, property_: int, /) -> float:
        """What the driver states; 0 where it doesn't."""

    def release(self) -> None:
        """Let go of the camera."""


class Camera(Closing):
    """A `Source` that ends when the camera goes away, or when the caller stops.

    The time of a frame is when it came, on a clock that only goes forward. A camera that gives no
    frame is asked again for two seconds; then the iteration ends and `problem` says so.
    """

    frames_expected = None
    damaged = 0
    problem = ""

    def __init__(
        self,
        address: str,
        *,
        every: int = 1,
        open_capture: Callable[[str], Capture] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open a camera by number ("0"), device ("/dev/video0") or address ("rtsp://...").

        Raises VideoError where none answers and MissingToolError without OpenCV.
        """
        self.name = f"camera {address}"
        self._every = every
        self._clock = clock
        self._sleep = sleep
        self._capture = (open_capture or _open_capture)(address)
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(
                f"{self.name} does not answer; expected the number of a camera that is plugged "
                "in and free, its device or its address"
            )
        self.fps = _sensible(self._capture.get(FPS_PROPERTY))
        self._frames = self._deliver()
        first = next(self._frames, None)
        if first is None:
            self._capture.release()
            raise VideoError(self.problem)
        self._first = first
        self.size = (first.image.shape[1], first.image.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        yield self._first
        yield from self._frames

    def _deliver(self) -> Iterator[Frame]:
        started_s: float | None = None
        index = 0
        while self._grab(index):
            now_s = self._clock()
            started_s = now_s if started_s is None else started_s
            if index % self._every == 0:
                came, picture = self._capture.retrieve()
                if came:
                    yield Frame(index, now_s - started_s, _rgb(picture))
                else:
                    self.damaged += 1
            index += 1

    def _grab(self, so_far: int) -> bool:
        """Wait for the next frame; False, with `problem` set, where none comes."""
        for _ in range(RETRIES):
            if self._capture.grab():
                return True
            self._sleep(PAUSE_S)
        self.problem = (
            f"{self.name} gave no frame for {RETRIES * PAUSE_S:g} s, after {so_far} frames; "
            "it is unplugged, in use elsewhere or has ended"
        )
        return False

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


def _sensible(fps: float) -> float | None:
    """A rate as drivers state it, unless it is their way to say that they don't know."""
    return fps if 0 < fps <= 1000 else None


def _open_capture(address: str) -> Capture:
    """OpenCV's capture, its own complaints kept off the terminal while it looks."""
    try:
        import cv2
    except ImportError as error:
        raise MissingToolError(
            "cameras need OpenCV: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error

    with captured_stderr():
        if address.isdecimal():
            capture = cv2.VideoCapture(int(address))
        elif "://" in address:
            waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, ANSWER_MS]
            waits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, ANSWER_MS]
            capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, waits)
        else:
            capture = cv2.VideoCapture(address)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not one that waited
    return capture


def _rgb(picture: MatLike) -> NDArray[np.uint8]:
    """OpenCV's blue, green, red, or grey, as contiguous RGB."""
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, -1).astype(np.uint8)
    return np.ascontiguousarray(picture[..., 2::-1], np.uint8)
