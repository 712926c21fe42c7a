"""Colours: a chart comes through every way in which a video may code them, and through our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_file import VideoFile
from atpn_deploy.video.video_writer import VideoWriter

pytestmark = pytest.mark.needs("av")

BT709, UNSTATED, BT601 = 1, 2, 6
STUDIO, FULL = 1, 2
#: (red, blue) weights of luma in H.273.
WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}
#: How far 4:2:0 and 8 bits may move a level in the middle of a field.
LEVELS = 4


@pytest.fixture(scope="module")
def chart() -> np.ndarray:
    """27 colours in fields of 16 x 16 pixels: all of 0, 128 and 255."""
    fields = np.stack(np.meshgrid(*[[0, 128, 255]] * 3, indexing="ij"), -1).reshape(3, 9, 3)
    return np.kron(fields, np.ones((16, 16, 1))).astype(np.uint8)


def centres(image: np.ndarray) -> np.ndarray:
    return image[8:48:16, 8:144:16].astype(int)


def coded(chart: np.ndarray, matrix: int, scale: int) -> np.ndarray:
    """The chart as planar YCbCr 4:4:4, (3, H, W), by the standards' own formulas."""
    red, blue = WEIGHTS[matrix]
    rgb = chart / 255.0
    luma = rgb @ [red, 1 - red - blue, blue]
    cb = (rgb[..., 2] - luma) / (2 * (1 - blue))
    cr = (rgb[..., 0] - luma) / (2 * (1 - red))
    planes = np.stack([luma, cb, cr])
    if scale == FULL:
        return (planes * 255 + [[[0]], [[128]], [[128]]]).round().clip(0, 255).astype(np.uint8)
    return (
        (planes * [[[219]], [[224]], [[224]]] + [[[16]], [[128]], [[128]]]).round().astype(np.uint8)
    )


@pytest.mark.parametrize("scale", [STUDIO, FULL])
@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_stated_colours_are_taken_as_stated(
    tmp_path: Path, chart: np.ndarray, matrix: int, scale: int
) -> None:
    path = write_planes(tmp_path / "a.mkv", coded(chart, matrix, scale), (scale, matrix))

    with VideoFile(path) as source:
        image = next(iter(source)).image

    assert np.abs(centres(image) - centres(chart)).max() <= LEVELS


@pytest.mark.parametrize(("enlarge", "matrix"), [(1, BT601), (15, BT709)])
def test_unstated_colours_go_by_the_size(
    tmp_path: Path, chart: np.ndarray, enlarge: int, matrix: int
) -> None:
    planes = coded(chart, matrix, STUDIO).repeat(enlarge, 1).repeat(enlarge, 2)
    path = write_planes(tmp_path / "a.mkv", planes, (0, UNSTATED))

    with VideoFile(path) as source:
        image = next(iter(source)).image[enlarge // 2 :: enlarge, enlarge // 2 :: enlarge]

    assert np.abs(centres(image) - centres(chart)).max() <= LEVELS


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_what_is_written_is_read_again(tmp_path: Path, chart: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path) as writer:
        for index in range(3):
            writer.write(Frame(index, index / 25, chart))

    with VideoFile(path) as source:
        image = list(source)[2].image

    error = np.abs(centres(image) - centres(chart))
    assert error.max() <= 10  # compression's share
    assert error.mean() <= 2


def test_opencv_sees_the_colours_that_are_written(tmp_path: Path, chart: np.ndarray) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "a.mp4"
    with VideoWriter(path) as writer:
        writer.write(Frame(0, 0.0, chart))

    capture = cv2.VideoCapture(str(path))
    _, theirs = capture.read()
    capture.release()

    assert np.abs(centres(theirs[..., ::-1]) - centres(chart)).mean() <= 2


def write_planes(path: Path, planes: np.ndarray, tags: tuple[int, int]) -> Path:
    """One losslessly coded frame of given planes, tagged with range and matrix."""
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", 25, {"qp": "0"})
        stream.height, stream.width = planes.shape[1:]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.color_range, stream.codec_context.colorspace = tags
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), "yuv444p")
        frame.color_range, frame.colorspace = tags
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
