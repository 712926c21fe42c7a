"""What a tracking run writes: records and pictures, finished however the run ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

from atpn_deploy.delivery import STDOUT, aside_of, cannot_write, check_file
from atpn_deploy.errors import AtpnError, ConfigError
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.track_records.formats import format_of, open_stdout
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.video.source import Frame
from atpn_exporters.following.pictures import Beside, Pictures, check_pictures, open_pictures
from atpn_exporters.following.request import TrackRequest


class Outputs:
    """All outputs of a run. A `with` statement finishes them, by whatever it is left.

    A file that fails, as on a full disk, ends the run; the others are finished all the same.
    """

    def __init__(self, request: TrackRequest, times: StageTimes) -> None:
        self._request = request
        self._times = times
        self.beside = StageTimes()  # of the thread that draws, where there is one
        self._open: list[Records | Pictures | Beside] = []
        self.begun = False
        self.written: list[str] = []  # what was finished, in the order of the request

    def begin(self, facts: RunFacts, fps: float | None) -> None:
        """Open every file, once the first frame is known; `fps` is the input's."""
        self.begun = True
        for path in self._request.records:
            self._open.append(Records(path, facts, self._times))
        if self._request.output is not None:
            rate = None if fps is None else fps / self._request.every
            if self._request.draw_beside:
                pictures = open_pictures(self._request.output, rate, self.beside)
                self._open.append(Beside(pictures, self._times))
            else:
                self._open.append(open_pictures(self._request.output, rate, self._times))

    def write(self, frame: Frame, faces: FrameFaces) -> None:
        """Hand one frame to every output; AtpnError where one can't take it."""
        for output in self._open:
            output.write(frame, faces)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed: AtpnError | None = None
        for output in self._open:
            try:
                output.close()
                self.written.append(str(output.path))
            except AtpnError as broken:
                failed = failed or broken
        if failed and error is None:
            raise failed


class Records:
    """One file of records, filled aside and renamed when it is closed."""

    def __init__(self, path: Path, facts: RunFacts, times: StageTimes) -> None:
        self.path = path
        self._times = times
        self._aside = aside_of(path)
        try:
            if path == STDOUT:
                self._writer = open_stdout(facts)
            else:
                self._writer = format_of(path).open(self._aside, facts)
        except OSError as error:
            raise self._failure(error) from error

    def write(self, frame: Frame, faces: FrameFaces) -> None:
        """Add a frame's rows."""
        with self._times.measured("write"):
            try:
                self._writer.write(frame.index, faces)
            except OSError as error:
                raise self._failure(error) from error

    def close(self) -> None:
        """Give the file its name."""
        with self._times.measured("write"):
            try:
                self._writer.close()
                if self.path != STDOUT:
                    self._aside.replace(self.path)
            except OSError as error:
                raise self._failure(error) from error

    def _failure(self, error: OSError) -> AtpnError:
        if self.path == STDOUT:
            # What Python still holds would fail again, loudly, when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return cannot_write(self.path, error)


def check_outputs(request: TrackRequest) -> None:
    """Refuse what could not be written, before anything is opened.

    Raises ConfigError, and MissingToolError for a format whose library is not installed.
    """
    source = Path(request.input)
    for path in request.records:
        if path == STDOUT:
            continue
        format_of(path).require()
        check_file(path, source=source, force=request.force)
    if request.output is not None:
        check_pictures(request.output, source=source, force=request.force)
    named = [path.absolute() for path in (*request.records, request.output) if path is not None]
    if twice := [path for path in named if named.count(path) > 1]:
        raise ConfigError(f"{twice[0].name} is named for two outputs; give each its own file")
