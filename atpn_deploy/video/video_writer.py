"""Drawn videos: frames with their own times to H.264 or VP9, playable whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.errors import VideoError
from atpn_deploy.video.pyav import require_pyav
from atpn_deploy.video.source import Frame

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

#: Numbers of H.273: studio range, and BT.709's matrix, primaries and transfer.
TV_RANGE, BT709 = 1, 1
#: Where nobody says how many frames a second come.
USUAL_FPS = 25
#: Seconds between pictures that stand for themselves: what seeking, and a killed run, can lose.
KEY_FRAMES_S = 2.0
#: Quality 20 of x264 shows no blocks; B frames would delay what is in the file already.
X264 = MappingProxyType({"preset": "veryfast", "crf": "20", "bf": "0"})
VP9 = MappingProxyType(
    {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "lag-in-frames": "0"}
)
#: The file is readable in pieces while it grows and becomes an ordinary one when it is closed.
GROWING_MP4 = MappingProxyType({"movflags": "hybrid_fragmented", "flush_packets": "1"})
GROWING_MKV = MappingProxyType({"flush_packets": "1"})


@dataclass(frozen=True)
class VideoFormat:
    """What a file that ends in `suffix` is made of."""

    suffix: str
    container: str  # as FFmpeg calls its muxer
    codec: str  # as FFmpeg calls its encoder
    ticks_per_s: int  # times are rounded to these
    encoding: Mapping[str, str]
    muxing: Mapping[str, str]


FORMATS = (
    VideoFormat(".mp4", "mp4", "libx264", 90_000, X264, GROWING_MP4),
    VideoFormat(".mov", "mov", "libx264", 90_000, X264, GROWING_MP4),
    VideoFormat(".mkv", "matroska", "libx264", 1_000, X264, GROWING_MKV),
    VideoFormat(".webm", "webm", "libvpx-vp9", 1_000, VP9, GROWING_MKV),
)
#: What `VideoWriter` takes, for messages and checks that should not load PyAV.
OUTPUT_SUFFIXES = tuple(format_.suffix for format_ in FORMATS)


class VideoWriter(Closing):
    """Writes frames to a video file, 8 bits, 4:2:0, BT.709; a context manager.

    The first frame sets the size; an odd width or height is made even by repeating the last column
    or row. A frame of another size is scaled to fit, proportions kept, on black. Times are those of
    the frames. Everything goes to `NAME.part.SUFFIX`, which can be played if the program is killed,
    and gets its name on leaving the context, also by an exception or Ctrl-C: what was written is
    delivered. Without a single frame there is no file.
    """

    def __init__(self, path: Path, *, fps: float | None = None, threads: int = 1) -> None:
        """Prepare; nothing is created before the first frame. `threads` encode, 0 for automatic.

        `fps` is nominal: it spaces the key frames and says how long the last frame is shown.
        Raises VideoError for a suffix that cannot be written, MissingToolError without PyAV.
        """
        require_pyav("writing videos")
        self.frames_written = 0
        self._path = path
        self._aside = path.with_name(f"{path.stem}.part{path.suffix}")
        self._format = _format_of(path)
        self._rate = max(Fraction(fps or USUAL_FPS).limit_denominator(1001), Fraction(1, 1001))
        self._threads = threads
        self._output: tuple[OutputContainer, VideoStream, VideoReformatter] | None = None
        self._size = (0, 0)  # width and height as they are written
        self._first_shape: tuple[int, ...] = ()
        self._last_tick = -1

    def write(self, frame: Frame) -> None:
        """Add a frame, later than the one before; VideoError where it can't be written."""
        import av
        from av.video.reformatter import ColorRange, Colorspace

        try:
            if self._output is None:
                self._output = self._open(frame.image)
            container, stream, reformatter = self._output
            picture = av.VideoFrame.from_ndarray(self._fitted(frame.image), "rgb24")
            coded = reformatter.reformat(
                picture,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                threads=self._threads,
            )
            self._stamp(coded, frame.time_s)
            container.mux(stream.encode(coded))
            self.frames_written += 1
        except av.FFmpegError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish the file and give it its name; VideoError, with what is left, where it fails."""
        import av

        if self._output is None:
            return
        container, stream, _ = self._output
        try:
            container.mux(stream.encode(None))
            container.close()
            self._aside.replace(self._path)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error
        self._output = None

    def _open(
        self, image: NDArray[np.uint8]
    ) -> tuple[OutputContainer, VideoStream, VideoReformatter]:
        """Create the file aside, in the size of the first frame."""
        import av
        from av.video.reformatter import VideoReformatter

        height, width = image.shape[:2]
        self._first_shape = image.shape
        self._size = (width + width % 2, height + height % 2)
        container = av.open(
            f"file:{self._aside}", "w", self._format.container, dict(self._format.muxing)
        )
        stream = container.add_stream(self._format.codec, self._rate, dict(self._format.encoding))
        video = cast("VideoStream", stream)
        video.width, video.height = self._size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.time_base = Fraction(1, self._format.ticks_per_s)
        context.gop_size = max(1, round(KEY_FRAMES_S * self._rate))
        context.thread_count = self._threads
        context.color_range, context.colorspace = TV_RANGE, BT709
        context.color_primaries, context.color_trc = BT709, BT709
        return container, video, VideoReformatter()

    def _stamp(self, picture: av.VideoFrame, time_s: float) -> None:
        """Put the time on a picture: at least one tick after the one before."""
        ticks_per_s = self._format.ticks_per_s
        tick = max(round(time_s * ticks_per_s), self._last_tick + 1)
        picture.time_base = Fraction(1, ticks_per_s)
        picture.pts = tick
        self._last_tick = tick

    def _fitted(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image in the size of the file."""
        width, height = self._size
        if image.shape != self._first_shape:
            return _letterboxed(image, width, height)
        if image.shape[:2] == (height, width):
            return image
        down, right = height - image.shape[0], width - image.shape[1]
        return np.pad(image, ((0, down), (0, right), (0, 0)), "edge")

    def _failure(self, error: Exception) -> VideoError:
        """Give the file up where it is, and say so."""
        import av

        if self._output is not None:
            try:
                self._output[0].close()
            except (av.FFmpegError, OSError):
                pass  # the first error is the one to report
            self._output = None
        left = f"; {self._aside} holds what was written" if self._aside.exists() else ""
        reason = getattr(error, "strerror", None) or error
        return VideoError(f"{self._path} cannot be written: {reason}{left}")


def _letterboxed(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale to fit into width x height, in the middle, on black."""
    import av

    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
    scaled = picture.reformat(*inner, "rgb24", interpolation="BICUBIC").to_ndarray()
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas


def _format_of(path: Path) -> VideoFormat:
    """The format of the suffix, if the installed PyAV has its encoder; else VideoError."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    suffix = path.suffix.lower()
    format_ = next((format_ for format_ in FORMATS if format_.suffix == suffix), None)
    if format_ is None:
        raise VideoError(
            f"{path} ends in {path.suffix or 'nothing'!r}; "
            f"expected one of {' '.join(OUTPUT_SUFFIXES)}"
        )
    try:
        Codec(format_.codec, "w")
    except UnknownCodecError as error:
        raise VideoError(
            f"{path} needs the encoder {format_.codec}, which this PyAV lacks; "
            "its wheels on PyPI have it: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error
    return format_
