"""Hands out the videos of a folder, delivers what comes back, and keeps count."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import FleetError
from atpn_exporters.fleet.claims import Claims
from atpn_exporters.fleet.job import Crew, Died, Event, Finished, Frames, Job, Outcome
from atpn_exporters.fleet.listing import Listing, Video
from atpn_exporters.fleet.report import (
    Failure,
    FleetReport,
    Listener,
    Plan,
    Progress,
    Tally,
    counted,
)
from atpn_exporters.fleet.results import Recipe, Results, Standing, write_json
from atpn_exporters.fleet.termination import like_ctrl_c

#: A video whose worker died is tried so often in all: it may have been the worker's bad luck.
TRIES = 2
#: Longest wait for workers before claims are signed and progress is told.
PATIENCE_S = 0.25
#: What is written of the whole run, at the top of the folder of results.
SUMMARY = "summary.json"
FAILURES = "failures.json"


@dataclass(frozen=True)
class FleetRequest:
    """The videos of a folder, and where the results go."""

    folder: Path
    output_dir: Path
    listing: Listing
    recipe: Recipe


@dataclass
class _Running:
    video: Video
    job: Job
    frames: int = 0
    share: float = 0.0


class Coordinator:
    """One run over a folder."""

    def __init__(
        self,
        request: FleetRequest,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at what is done already; FleetError where results can't be written."""
        self._request = request
        self._listener = listener
        self._clock = clock
        self._results = Results(request.output_dir, request.recipe)
        self._claims = Claims(request.output_dir)
        self._tally = Tally()
        self._waiting: deque[Video] = deque()
        self._tries: dict[str, int] = {}
        self._elsewhere: dict[str, tuple[Video, str]] = {}  # by name: who has it in hand
        self._running: dict[int, _Running] = {}
        self._jobs = 0
        self._began_s: float | None = None
        self._wall_s = 0.0
        self.plan = self._look()

    def run(self, open_crew: Callable[[int], Crew]) -> FleetReport:
        """Work until nothing is left, or until Ctrl-C or SIGTERM; then say what came of it.

        `open_crew` is told how many videos there are; it isn't asked where all are done. Raises
        FleetError where workers can't be had; what was done before stays done.
        """
        self._listener.planned(self.plan)
        interrupted, workers = False, 0
        self._claims.open()
        try:
            if self._waiting:
                with open_crew(len(self._waiting)) as crew, like_ctrl_c():
                    workers = crew.size
                    self._work(crew)
                    self._listener.progress(self._progress())
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._wall_s = 0.0 if self._began_s is None else self._clock() - self._began_s
            for running in self._running.values():
                self._claims.release(running.video)
        report = self._report(workers, interrupted)
        self._write(report)
        return report

    def _look(self) -> Plan:
        """Sort the videos into done and to do."""
        why = []
        for video in self._request.listing.videos:
            standing = self._results.standing(video)
            if standing.done:
                self._tally.done_before += 1
                self._note(video, standing)
            else:
                self._waiting.append(video)
                why.append(standing.reason)
        for remark in self._request.listing.unreadable:
            self._fail(Failure(remark.name, "failed", remark.reason))
        size = sum(video.size_bytes for video in self._waiting)
        return Plan(counted(why), self._tally.done_before, size)

    def _work(self, crew: Crew) -> None:
        """Hand out and hear until all has ended; then look once at what others had in hand."""
        self._work_off(crew)
        self._waiting.extend(video for video, _ in self._elsewhere.values())
        self._work_off(crew)

    def _work_off(self, crew: Crew) -> None:
        while self._waiting or self._running:
            if crew.idle and self._began_s is None:
                self._began_s = self._clock()
            while crew.idle and self._waiting:
                self._begin(self._waiting.popleft(), crew)
            if self._running or self._waiting:
                for event in crew.wait(PATIENCE_S):
                    self._hear(event)
            self._claims.sign()
            self._listener.progress(self._progress())

    def _begin(self, video: Video, crew: Crew) -> None:
        """Hand a video out, unless another run has it or has done it meanwhile."""
        owner = self._claims.take(video)
        if owner is not None:
            self._elsewhere[video.name] = video, str(owner)
            return
        self._elsewhere.pop(video.name, None)
        standing = self._results.standing(video)
        if standing.done:
            self._claims.release(video)
            self._tally.done_elsewhere += 1
            self._note(video, standing)
            self._count(video)
            return
        self._jobs += 1
        self._tries[video.name] = self._tries.get(video.name, 0) + 1
        job = Job(self._jobs, video.path.absolute(), self._claims.workplace(video).absolute())
        self._running[job.number] = _Running(video, job)
        crew.give(job)

    def _hear(self, event: Event) -> None:
        match event:
            case Frames(number, frames, share):
                running = self._running[number]
                running.frames, running.share = frames, share
            case Finished(outcome):
                self._end(self._running[outcome.number], outcome)
                del self._running[outcome.number]
            case Died(number, reason):
                self._lose(self._running[number], reason)
                del self._running[number]

    def _lose(self, running: _Running, reason: str) -> None:
        """A worker died: the video is tried again after all others, or given up."""
        video = running.video
        if self._tries[video.name] < TRIES:
            self._claims.release(video)
            self._tally.retries += 1
            self._waiting.append(video)
            return
        reason = f"{reason}; tried {TRIES} times"
        self._end(running, Outcome(running.job.number, "failed", reason, 0))

    def _end(self, running: _Running, outcome: Outcome) -> None:
        """Deliver what there is."""
        video = running.video
        self._tally.frames += outcome.frames
        self._count(video)
        try:
            self._results.deliver(video, running.job, outcome)
        except OSError as error:
            reason = f"its results can't be delivered: {error}"
            self._fail(Failure(video.name, "failed", reason))
        else:
            if outcome.state == "whole":
                self._tally.whole += 1
            else:
                kept = bool(outcome.endings)
                self._fail(Failure(video.name, outcome.state, outcome.reason, kept))
        self._claims.release(video)

    def _count(self, video: Video) -> None:
        self._tally.ended += 1
        self._tally.ended_bytes += video.size_bytes

    def _note(self, video: Video, standing: Standing) -> None:
        """The damaged ones of another run are listed too."""
        if standing.state == "damaged":
            self._tally.failures[video.name] = Failure(video.name, "damaged", standing.reason, True)

    def _fail(self, failure: Failure) -> None:
        self._tally.failures[failure.video] = failure
        self._listener.failed(failure)

    def _progress(self) -> Progress:
        running = self._running.values()
        return Progress(
            videos=self._tally.ended,
            videos_to_do=sum(self.plan.to_do.values()),
            bytes=self._tally.ended_bytes + sum(r.share * r.video.size_bytes for r in running),
            bytes_to_do=self.plan.bytes_to_do,
            frames=self._tally.frames + sum(r.frames for r in running),
            failures=len(self._tally.failures),
            busy=len(running),
        )

    def _report(self, workers: int, interrupted: bool) -> FleetReport:
        tally = self._tally
        elsewhere = {name: owner for name, (_, owner) in self._elsewhere.items()}
        return FleetReport(
            folder=str(self._request.folder),
            output_dir=str(self._request.output_dir),
            workers=workers,
            to_do=self.plan.to_do,
            whole=tally.whole,
            done_before=tally.done_before,
            done_elsewhere=tally.done_elsewhere,
            left=sum(self.plan.to_do.values()) - tally.ended - len(elsewhere),
            retries=tally.retries,
            frames=tally.frames,
            wall_s=self._wall_s,
            failures=tuple(sorted(tally.failures.values(), key=lambda failure: failure.video)),
            passed_over=self._request.listing.passed_over,
            busy_elsewhere=elsewhere,
            interrupted=interrupted,
        )

    def _write(self, report: FleetReport) -> None:
        """summary.json, and failures.json for a script that takes the videos up again."""
        facts = report.as_dict()
        for name, values in ((SUMMARY, facts), (FAILURES, facts["failures"])):
            aside, path = self._claims.aside(name), self._request.output_dir / name
            try:
                write_json(aside, values)
                aside.replace(path)
            except OSError as error:
                raise FleetError(f"{path} can't be written: {error.strerror}") from error
