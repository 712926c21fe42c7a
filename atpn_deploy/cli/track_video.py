"""atpn-track on a video, a camera or a folder of frames: its faces followed, drawn, recorded."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atpn_deploy.cli.shell import InterruptionError
from atpn_deploy.cli.stopping import Stopping
from atpn_deploy.cli.track_photo import NO_FACE
from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.delivery import STDOUT, check_file, deliver_text
from atpn_deploy.errors import ConfigError

if TYPE_CHECKING:
    from atpn_deploy.tracking.tracker import TrackerOptions
    from atpn_exporters.following.request import TrackRequest, TrackSummary

#: Exit status when the input ended early.
DAMAGED = 1


@dataclass(frozen=True)
class VideoJob:
    """What was typed; None leaves the choice to the library."""

    input: str
    model: Path
    output: Path | None
    records: tuple[Path, ...]
    summary: Path | None
    threshold: float
    max_faces: int | None
    every: int | None
    max_seconds: float | None
    fps: float | None
    smoothing: str | None
    rescan: int | None
    no_draw: bool
    detector: str
    boxes: Path | None
    runtime: str
    threads: int
    force: bool


def track_video(job: VideoJob) -> None:
    """Run, show progress, write the summary, and exit by how it ended."""
    _check(job)

    from rich.console import Console

    from atpn_exporters.following.bar import TrackingBar
    from atpn_exporters.following.run import run
    from atpn_exporters.following.tables import summary_table

    request = request_of(job)
    with Stopping() as stopping, TrackingBar(Console(stderr=True)) as bar:
        summary = run(request, on_frame=bar, stopped=stopping)
    if job.summary is not None:
        text = json.dumps(summary.as_dict(), indent=1, allow_nan=False) + "\n"
        deliver_text(job.summary, text)
    console = Console(stderr=STDOUT in (*job.records, job.summary), soft_wrap=True)
    console.print(summary_table(summary), highlight=False)
    _conclude(job, summary, stopping)


def request_of(job: VideoJob) -> TrackRequest:
    """The library's request for what was typed."""
    from atpn_exporters.following.request import TrackRequest

    return TrackRequest(
        input=job.input,
        model=job.model,
        detector=job.detector,
        boxes=job.boxes,
        tracker=_tracker_options(job),
        every=job.every or 1,
        fps=job.fps,
        max_seconds=job.max_seconds,
        runtime=job.runtime,
        threads=job.threads,
        records=job.records,
        output=job.output,
        draw_beside=cores() > 1,
        force=job.force,
    )


def cores() -> int:
    """How many cores this process may use; macOS does not say, so there all count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tracker_options(job: VideoJob) -> TrackerOptions:
    from atpn_deploy.tracking.smoothing import strength_named
    from atpn_deploy.tracking.tracker import TrackerOptions
    from atpn_deploy.video.opening import is_camera

    options = replace(TrackerOptions(), max_faces=job.max_faces)
    if is_camera(job.input):
        options = replace(options, cut_correlation=-1.0)  # its scene changes, it is never cut
    if job.smoothing is not None:
        options = replace(options, smoothing=strength_named(job.smoothing).name)
    if job.rescan is not None:
        options = replace(options, rescan_frames=job.rescan)
    elif job.boxes is not None:  # they cost nothing, and one may be given in any frame
        options = replace(options, rescan_frames=1, longest_wait_frames=1)
    if job.threshold != CONFIDENCE_THRESHOLD:
        birth = job.threshold + (1 - job.threshold) / 3  # as 0.8 lies to 0.7
        lifecycle = replace(options.lifecycle, keep=job.threshold, birth=birth)
        options = replace(options, lifecycle=lifecycle)
    return options


def _check(job: VideoJob) -> None:
    """Refuse what makes no sense; what can't be written the library refuses."""
    if job.no_draw and job.output is not None:
        raise ConfigError(f"--no-draw leaves nothing for --output {job.output}; drop one of them")
    if not (job.no_draw or job.output or job.records or job.summary):
        raise ConfigError(
            "nothing to write; give --output FILE, --records FILE or --summary FILE, or --no-draw "
            "to see counts and times only"
        )
    if job.summary is not None and job.summary != STDOUT:
        check_file(job.summary, source=Path(job.input), force=job.force)
    named = [*job.records, *([job.output] if job.output else [])]
    if job.summary in named:
        raise ConfigError(f"{job.summary} is named for two outputs; give each its own")


def _conclude(job: VideoJob, summary: TrackSummary, stopping: Stopping) -> None:
    """Say how it ended, in one line, and exit accordingly."""
    wrote = [name for name in summary.outputs if name != "-"]
    if job.summary is not None and job.summary != STDOUT:
        wrote.append(str(job.summary))
    done = f"{summary.frames} frames were tracked; wrote {', '.join(wrote) or 'nothing'}"
    if summary.damaged:
        print(f"warning: {summary.damaged} frames of the input are damaged", file=sys.stderr)
    if summary.interrupted:
        raise InterruptionError(done, stopping.exit_status)
    if summary.problem:
        print(f"error: {summary.problem}; {done}", file=sys.stderr)
        raise typer.Exit(DAMAGED)
    if not summary.frames_with_face:
        print(f"no face found in {job.input} above confidence {job.threshold:g}", file=sys.stderr)
        raise typer.Exit(NO_FACE)
    if wrote and STDOUT not in (*job.records, job.summary):
        print(f"wrote {', '.join(wrote)}")
