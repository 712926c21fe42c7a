"""What workers open in tests: "videos" are small text files that say what is to happen.

The first line is what happens, the second how many frames there are:
    whole | damaged | broken | full | kill | kill-once | crash | wait | wait-silently
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import ArtifactError, VideoError
from atpn_exporters.fleet.job import Job, Told, Tracked


@dataclass(frozen=True)
class StandIn:
    """Opens nothing, or refuses to; `log` takes a line for every video that is begun."""

    log: Path
    refuses: str = ""
    ends_at_once: bool = False

    def open(self) -> StandInTracker:
        if self.refuses:
            raise ArtifactError(self.refuses)
        if self.ends_at_once:
            os._exit(3)
        return StandInTracker(self.log)


@dataclass(frozen=True)
class StandInTracker:
    log: Path
    endings: tuple[str, ...] = (".jsonl",)

    def track(self, job: Job, told: Told) -> Tracked:
        what, frames = job.video.read_text().split("\n")[:2]
        with self.log.open("a", errors="surrogateescape") as log:
            log.write(f"{os.getpid()} {job.video.name}\n")
        result = job.result(".jsonl")
        if what == "broken":
            raise VideoError(f"{job.video} holds no frame that can be decoded")
        if what == "kill" or (what == "kill-once" and not _second_time(job)):
            os.write(2, b"noise\nout of luck\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "crash":
            raise ZeroDivisionError("a mistake in the code")
        while what.startswith("wait") and not job.video.with_suffix(".go").exists():
            if what == "wait":
                told(int(frames) // 2, 0.5)
            time.sleep(0.02)
        result.write_text(f"{what} {frames}\n")
        if what == "full":
            raise OSError(28, "No space left on device")
        problem = "ended in the middle" if what == "damaged" else ""
        return Tracked(int(frames), problem, {"frames": int(frames)})


def _second_time(job: Job) -> bool:
    mark = job.video.with_suffix(".tried")
    before = mark.exists()
    mark.touch()
    return before
