"""One job in one worker: what it reports, and what becomes of an error."""

from __future__ import annotations

import time
from collections.abc import Callable

from atpn_deploy.errors import AtpnError
from atpn_exporters.fleet.job import Frames, Job, Outcome, State, VideoTracker

#: Seconds between two reports of one worker.
REPORT_S = 0.5


def perform(
    tracker: VideoTracker,
    job: Job,
    report: Callable[[Frames], None],
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Track a video. What a file, a disk or the memory can cause ends the job, not the worker."""
    reported_s = clock()
    counted = 0

    def told(frames: int, share: float) -> None:
        nonlocal reported_s, counted
        counted = frames
        if clock() - reported_s >= REPORT_S:
            reported_s = clock()
            report(Frames(job.number, frames, share))

    try:
        tracked = tracker.track(job, told)
    except (AtpnError, OSError, MemoryError) as error:
        reason = " ".join(str(error).removeprefix(f"{job.video} ").split())
        reason = reason or type(error).__name__
        return Outcome(job.number, "failed", reason, counted, _finished(tracker, job))
    state: State = "damaged" if tracked.problem else "whole"
    endings = _finished(tracker, job)
    return Outcome(job.number, state, tracked.problem, tracked.frames, endings, tracked.facts)


def _finished(tracker: VideoTracker, job: Job) -> tuple[str, ...]:
    """The endings of the results that are there under their own names, not half filled."""
    return tuple(ending for ending in tracker.endings if job.result(ending).exists())
