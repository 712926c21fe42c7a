"""What `atpn-bench loop` does: the files that keep their parity limits, on one clip, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from atpn_benchmarks.guest import facts
from atpn_benchmarks.loop.clip import Clip, read_clip
from atpn_benchmarks.loop.timing import Entrant, LoopTimes, Plan, time_loops
from atpn_deploy.detectors.registry import open_detector
from atpn_deploy.errors import AtpnError, ParityError
from atpn_deploy.faces import require_all_tasks
from atpn_exporters.opening import open_file
from atpn_exporters.parity_run import ParityRequest, check
from atpn_exporters.session import Session, SessionOptions


@dataclass(frozen=True)
class LoopRequest:
    """What is to be timed; see `atpn-bench loop --help`."""

    files: tuple[Path, ...]
    video: Path
    most_frames: int
    size: tuple[int, int] | None
    plan: Plan
    detector: str
    parity: ParityRequest


@dataclass(frozen=True)
class LoopOutcome:
    """Every file that was timed, on which clip and machine, and why others were not."""

    clip: Clip
    times: tuple[LoopTimes, ...]
    runtimes: dict[str, str]  # by file name: "LiteRT 2.3.0"
    machine: dict[str, Any]  # the fields of `results.Machine`
    complaints: tuple[str, ...]
    exit_status: int  # 0; 1 a file misses its limits; 2 a file can't be opened or compared


def perform(request: LoopRequest, console: Console) -> LoopOutcome:
    """Read the clip, hold the files to their references, time those that keep them.

    Raises AtpnError where no file is left to be timed.
    """
    clip = read_clip(request.video, request.most_frames, request.size)
    detector = open_detector(request.detector, video=True)
    complaints, status = [], 0
    entrants, runtimes = [], {}
    with ExitStack() as stack:
        for path, name in zip(request.files, names_of(request.files), strict=True):
            try:
                with console.status(f"verifying {path.name}"):
                    _hold(path, request.parity)
                    session = stack.enter_context(_open(path, request.parity.runtime))
            except AtpnError as error:
                complaints.append(f"{path} is not timed: {error}")
                status = max(status, error.exit_status)
                continue
            entrants.append(Entrant(name, session, detector))
            runtimes[name] = session.runtime
        if not entrants:
            error_class = ParityError if status == ParityError.exit_status else AtpnError
            raise error_class("; ".join(complaints))
        times = _timed(entrants, clip, request.plan, console)
    return LoopOutcome(clip, times, runtimes, facts.machine(), tuple(complaints), status)


def names_of(files: Sequence[Path]) -> list[str]:
    """Short names; whole paths where two files are called the same."""
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [str(path) for path in files]


def _hold(path: Path, request: ParityRequest) -> None:
    """Raise ParityError for a file that misses its limits, AtpnError for one without reference."""
    result = check(path, request)
    if result.error:
        raise AtpnError(result.error)
    if not result.ok:
        raise ParityError(next(v.complaint for v in result.verifications if not v.ok))


def _open(path: Path, runtime: str) -> Session:
    """A session that computes all three tasks; ArtifactError for a file that does not."""
    session = open_file(path, SessionOptions(runtime=runtime))
    require_all_tasks(session)
    return session


def _timed(
    entrants: Sequence[Entrant], clip: Clip, plan: Plan, console: Console
) -> tuple[LoopTimes, ...]:
    """With a bar, where there is a terminal."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{len(clip.frames)} frames of {clip.name}", total=None)

        def show(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        return tuple(time_loops(entrants, clip, plan, on_pass=show))
