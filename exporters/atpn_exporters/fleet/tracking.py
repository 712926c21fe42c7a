"""What a worker of a fleet keeps open: a file's session and a detector."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from atpn_deploy.detectors.detector import Detector
from atpn_deploy.detectors.registry import open_detector
from atpn_deploy.errors import AtpnError, FleetError
from atpn_deploy.faces import require_all_tasks
from atpn_deploy.track_records import facts
from atpn_deploy.track_records.formats import FORMATS
from atpn_deploy.video.video_file import VideoFile
from atpn_exporters.artifact_files import sha256_of
from atpn_exporters.fleet.claims import HIDDEN
from atpn_exporters.fleet.job import Job, Told, Tracked
from atpn_exporters.fleet.results import Recipe
from atpn_exporters.following.request import TrackRequest
from atpn_exporters.following.run import FrameDone, follow
from atpn_exporters.opening import open_file
from atpn_exporters.session import Session, SessionOptions
from atpn_exporters.tables import plural

#: How the drawn video of a video is called, after the video's own name.
DRAWN = ".tracked.mp4"


@dataclass(frozen=True)
class TrackingSetup:
    """What every worker opens. `request` is that of any video: its input and outputs are unset."""

    request: TrackRequest
    folder: Path
    output_dir: Path
    formats: tuple[str, ...]  # of the records: suffixes
    draw: bool
    model_sha256: str

    @property
    def endings(self) -> tuple[str, ...]:
        """What is written of each video, after its name."""
        return (*self.formats, DRAWN) if self.draw else self.formats

    def recipe(self) -> Recipe:
        """What makes the results, beside the videos."""
        request = self.request
        detector = Path(request.detector)
        options = {
            "detector": sha256_of(detector) if detector.is_file() else request.detector,
            "every": request.every,
            "max_seconds": request.max_seconds,
            "runtime": request.runtime,
            "tracker": asdict(request.tracker),
            "endings": self.endings,
            "records": facts.SCHEMA_VERSION,
        }
        text = json.dumps(options, sort_keys=True)
        return Recipe(self.model_sha256, hashlib.sha256(text.encode()).hexdigest())

    def open(self) -> OpenTracking:
        """Open the model and the detector; AtpnError where this machine can be of no use."""
        try:
            for folder in (self.folder, self.output_dir / HIDDEN):
                if not folder.is_dir():
                    raise FleetError(
                        f"{folder} is not there; videos, results and model must lie where every "
                        "machine finds them under the same path"
                    )
            for suffix in self.formats:
                FORMATS[suffix].require()
            if sha256_of(self.request.model) != self.model_sha256:
                raise FleetError(f"{self.request.model} is another file than where the run began")
            _one_thread()
            options = SessionOptions(threads=self.request.threads, runtime=self.request.runtime)
            session = open_file(self.request.model, options)
            require_all_tasks(session)
            detector = open_detector(
                self.request.detector, video=True, threads=self.request.threads
            )
        except AtpnError as error:
            raise FleetError(f"a worker on {socket.gethostname()}: {error}") from error
        return OpenTracking(self, session, detector)


class OpenTracking:
    """Tracks one video after the other; open for as long as the worker lives."""

    def __init__(self, setup: TrackingSetup, session: Session, detector: Detector) -> None:
        self._setup = setup
        self._session = session
        self._detector = detector
        self.endings = setup.endings

    def track(self, job: Job, told: Told) -> Tracked:
        """Track one video."""
        setup = self._setup
        request = replace(
            setup.request,
            input=str(job.video),
            records=tuple(job.result(suffix) for suffix in setup.formats),
            output=job.result(DRAWN) if setup.draw else None,
            draw_beside=False,  # other workers have the other cores
        )

        def on_frame(done: FrameDone) -> None:
            index, expected = done.frame.index + 1, done.frames_expected
            share = min(1.0, index / expected) if expected else 0.0
            told(-(-index // request.every), share)

        with VideoFile(job.video, every=request.every, threads=request.threads) as source:
            summary = follow(request, self._session, self._detector, source, on_frame=on_frame)
        plain = summary.as_dict()
        del plain["outputs"]  # the job's folder, which is gone when this is read
        problem = summary.problem
        if not problem and summary.damaged:
            problem = plural(summary.damaged, "damaged frame")
        return Tracked(summary.frames, problem, plain)


def _one_thread() -> None:
    """A worker is one of as many as there are cores; OpenCV would take all of them for itself."""
    try:
        import cv2
    except ImportError:  # a detector of another library
        return
    cv2.setNumThreads(1)
