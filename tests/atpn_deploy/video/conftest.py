"""Small clips whose frames carry their number as stripes, so that a lost or swapped one shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

#: Ticks a second of every clip, so that 25 frames a second and odd times are exact.
CLOCK = 90_000


def numbered(number: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Eight stripes from left to right, white for the ones of `number`; the top right is red."""
    bits = np.array([number >> k & 1 for k in range(8)], np.uint8) * 200 + 20
    stripes = np.repeat(bits[np.arange(width) * 8 // width][None, :, None], 3, -1)
    image = np.repeat(stripes, height, 0)
    image[: height // 4, width // 2 :] = (220, 20, 20)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number that `numbered` put in, from the lower half."""
    row = image[image.shape[0] * 3 // 4].mean(-1)
    centres = (np.arange(8) + 0.5) * len(row) / 8
    return sum(int(row[int(centre)] > 120) << k for k, centre in enumerate(centres))


def write_clip(
    path: Path,
    frames: int = 30,
    *,
    images: Sequence[NDArray[np.uint8]] = (),
    times: Sequence[int] = (),
    codec: str = "libx264",
    container: str | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    turned: tuple[float, bool] | None = None,
    tags: tuple[int, int] | None = None,
) -> Path:
    """Write numbered frames (or `images`) with PyAV alone, at `times` in ticks of CLOCK.

    `turned` is the display rotation, anticlockwise, and whether to mirror; `tags` are range and
    colour matrix as H.273 numbers them.
    """
    import av

    # AVI takes its ticks for its frame rate.
    clock = 25 if path.suffix == ".avi" else CLOCK
    images = images or [numbered(number) for number in range(frames)]
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", container, muxing or {}) as output:
        stream = output.add_stream(codec, 25, options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = Fraction(1, clock)
        if turned:
            stream.set_display_rotation(turned[0], hflip=turned[1])
        if tags:
            stream.codec_context.color_range, stream.codec_context.colorspace = tags
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixels)
            frame.pts = times[number] if times else number * clock // 25
            frame.time_base = Fraction(1, clock)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_song(path: Path, *, cover: bool = False) -> Path:
    """A tenth of a second of silence, with a picture where asked for."""
    import av
    from av.stream import Disposition

    with av.open(str(path), "w") as output:
        stream = output.add_stream("mp3", 44_100)
        picture = None
        if cover:
            picture = output.add_stream("png", 25)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "rgb24"
            picture.disposition = Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4410 * 2), np.int16), "s16", "stereo")
        silence.sample_rate, silence.pts = 44_100, 0
        if picture:
            image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            image.pts, image.time_base = 0, Fraction(1, 25)
            output.mux(picture.encode(image))
            output.mux(picture.encode(None))
        output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def song() -> Callable[..., Path]:
    return write_song


@pytest.fixture(scope="session")
def draw_number() -> Callable[..., NDArray[np.uint8]]:
    """`numbered` for tests, which can't import this file."""
    return numbered


@pytest.fixture(scope="session")
def read_number() -> Callable[[NDArray[np.uint8]], int]:
    return number_of


@pytest.fixture(scope="session")
def clip() -> Callable[..., Path]:
    return write_clip
