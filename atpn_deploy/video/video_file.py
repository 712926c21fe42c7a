"""Video files: decoded by PyAV, upright, in the colours they state, at the times they state."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.errors import VideoError
from atpn_deploy.input_file import check_is_file
from atpn_deploy.video.orientation import lies_on_its_side, turn_upright
from atpn_deploy.video.promised import missing_bytes
from atpn_deploy.video.pyav import require_pyav
from atpn_deploy.video.source import Frame
from atpn_deploy.video.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

#: Demuxers that take text for a picture of text, or a list for the files that it names.
NOT_VIDEOS = ("tty", "concat")
#: Where neither the file nor its codec states a rate.
USUAL_FPS = Fraction(25)
#: Frames that don't state their colour matrix have BT.709's from this many rows or columns on,
#: and BT.601's below, as players take it.
HIGH_DEFINITION = (720, 1280)
#: The values of H.273 that FFmpeg and PyAV share.
BT709, UNSTATED, BT601 = 1, 2, 6


class VideoFile(Closing):
    """A `Source` over the first video stream of a file, or its best where it has several.

    Opening decodes the first frame, so a file without one that can be decoded is refused at once.
    """

    damaged = 0
    problem = ""

    def __init__(self, path: Path, *, every: int = 1, threads: int = 1) -> None:
        """Open `path`; `threads` decode, 0 as many as FFmpeg sees fit.

        Of the frames that are passed over by `every` none is converted, but all are decoded.
        Raises VideoError for a file that is no video and MissingToolError without PyAV.
        """
        require_pyav("reading videos")
        from av.video.reformatter import VideoReformatter

        self.name = str(path)
        self._path = path
        self._every = every
        self._threads = threads
        self._container = _open(path)
        try:
            self._stream = _video_stream(self._container, path, threads)
            self._rate = self._stream.average_rate or self._stream.guessed_rate or USUAL_FPS
            self.fps = float(self._rate)
            self.frames_expected = _frames_expected(self._container, self._stream, self.fps)
            self._reformatter: VideoReformatter = VideoReformatter()
            self._decoded = self._decode()
            self._first = self._first_frame()
        except BaseException:
            self._container.close()
            raise
        self._matrix = _display_matrix(self._first)
        self._rotation = self._first.rotation
        width, height = self._first.width, self._first.height
        self.size = (height, width) if lies_on_its_side(self._matrix) else (width, height)

    def __iter__(self) -> Iterator[Frame]:
        timeline = Timeline(1 / self._rate)
        stamp_of = _decoding_stamp if "avi" in self._container.format.name else _showing_stamp
        read = 0
        for index, frame in enumerate(self._all_frames()):
            read = index + 1
            time_s = timeline.place(stamp_of(frame))
            if index % self._every == 0:
                yield Frame(index, time_s, self._rgb(frame))
        self._conclude(read)

    def _all_frames(self) -> Iterator[VideoFrame]:
        yield self._first
        yield from self._decoded

    def _first_frame(self) -> VideoFrame:
        """Decode until there is a frame, or raise VideoError."""
        frame = next(self._decoded, None)
        if frame is not None:
            return frame
        self._conclude(0)
        raise VideoError(self.problem or f"{self.name} holds no frame that can be decoded")

    def _decode(self) -> Generator[VideoFrame]:
        """Every frame that can be decoded; packets that can't be are counted in `damaged`."""
        import av

        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets, up to its end or to where the file can't be read any further."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.problem = f"{self.name} cannot be read to its end: {error.strerror or error}"
                return
            if packet is None:
                return
            yield packet

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert to full-range RGB and turn upright."""
        import av
        from av.video.reformatter import ColorRange

        if frame.colorspace == UNSTATED:
            rows, columns = HIGH_DEFINITION
            high = frame.height >= rows or frame.width >= columns
            frame.colorspace = BT709 if high else BT601
        try:
            rgb = self._reformatter.reformat(
                frame, format="rgb24", dst_color_range=ColorRange.JPEG, threads=self._threads
            )
        except av.FFmpegError as error:
            raise VideoError(
                f"{self.name} holds {frame.format.name} pixels, which cannot be made RGB "
                f"({error.strerror}); convert it"
            ) from error
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if rgb is frame:  # RGB already; a decoder may build the next frame on its buffer
            image = image.copy()
        if frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, _display_matrix(frame)
        return turn_upright(image, self._matrix)

    def _conclude(self, read: int) -> None:
        """At the end of what can be read: say so if the file is cut off."""
        lacking = missing_bytes(self._path)
        if lacking and not self.problem:
            expected = self.frames_expected or 0
            of = f" of {expected}" if expected > read else ""
            self.problem = (
                f"{self.name} is cut off: {lacking:,} bytes are missing at its end; "
                f"{read}{of} frames could be read"
            )

    def close(self) -> None:
        """Close the file."""
        self._decoded.close()  # it must not ask a closed container for more
        self._container.close()


def _open(path: Path) -> InputContainer:
    import av

    check_is_file(path, "a video file", VideoError)
    try:
        # Without "file:", a name such as "12:30.mp4" is taken for an address.
        container = av.open(f"file:{path}", "r")
    except av.FFmpegError as error:
        if lacking := missing_bytes(path):
            raise VideoError(
                f"{path} is cut off: at least {lacking:,} bytes are missing at its end and with "
                "them the index that says where its frames lie; nothing can be read, copy it again"
            ) from error
        raise VideoError(
            f"{path} is not a video that can be read ({error.strerror}); expected MP4, MOV, MKV, "
            "WebM, AVI or another container that FFmpeg knows"
        ) from error
    if container.format.name in NOT_VIDEOS:
        container.close()
        raise VideoError(f"{path} holds text; expected a video file")
    return container


def _video_stream(container: InputContainer, path: Path, threads: int) -> VideoStream:
    """The stream to decode, its decoder's threads set."""
    from av.stream import Disposition

    # The cover picture of a song is a video stream of one frame.
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        kinds = sorted({stream.type for stream in container.streams})
        came = "sound only" if "audio" in kinds else f"only {', '.join(kinds) or 'no streams'}"
        raise VideoError(f"{path} holds {came}; expected a file with a video stream")
    best = container.streams.best("video")
    stream = next((video for video in videos if video is best), videos[0])
    # What has no decoder has no codec context, whatever the type says.
    context = getattr(stream, "codec_context", None)
    if context is None:
        raise VideoError(f"{path} is coded in a way that this PyAV cannot decode; convert it")
    context.thread_count = threads
    context.thread_type = "NONE" if threads == 1 else "AUTO"
    return stream


def _frames_expected(container: InputContainer, stream: VideoStream, fps: float) -> int | None:
    """From the index where it lists all frames, else from the header, else from the duration."""
    if container.format.name.startswith("mov"):
        return len(stream.index_entries) or None
    if stream.frames:
        return stream.frames
    if stream.duration and stream.time_base:
        return round(float(stream.duration * stream.time_base) * fps) or None
    if container.duration:  # in microseconds
        return round(container.duration / 1e6 * fps) or None
    return None


def _showing_stamp(frame: VideoFrame) -> Fraction | None:
    """When a frame is to be shown, in seconds of the container's clock."""
    return _seconds(frame.dts if frame.pts is None else frame.pts, frame)


def _decoding_stamp(frame: VideoFrame) -> Fraction | None:
    """The same for AVI, which knows no other: what FFmpeg calls `pts` there is out of order."""
    return _seconds(frame.dts, frame)


def _seconds(stamp: int | None, frame: VideoFrame) -> Fraction | None:
    return None if stamp is None or frame.time_base is None else stamp * frame.time_base


def _display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    """The nine numbers with which a container or codec says how to turn the frame.

    To be asked for rarely: PyAV ties a frame to its side data in a circle, so that frames would
    pile up until Python looks for such circles.
    """
    data = cast("memoryview | None", frame.side_data.get("DISPLAYMATRIX"))
    return None if data is None else np.frombuffer(data, np.int32).copy()
