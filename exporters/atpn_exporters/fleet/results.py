"""Where each video's results lie, and whether they still are those of this run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from atpn_exporters.fleet.job import Job, Outcome
from atpn_exporters.fleet.listing import Video

#: Raised when a field of a summary changes its name or meaning.
SCHEMA_VERSION = 1
#: After a video's whole name, so that clip.mp4 and clip.mov have results of their own.
SUMMARY = ".summary.json"


@dataclass(frozen=True)
class Recipe:
    """What makes a result, beside the video."""

    model_sha256: str
    options_sha256: str  # of everything that can change what is written


@dataclass(frozen=True)
class Standing:
    """What is there of a video.

    `whole` and `damaged` are results of this very video, model and options. Of the others there
    is nothing to keep.
    """

    state: Literal["whole", "damaged", "new", "changed", "failed"]
    reason: str  # what is wrong with a damaged video, or why there is something to do

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state in ("whole", "damaged")


class Results:
    """The results below one folder, laid out as the videos are."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self._recipe = recipe

    def path(self, video: Video, ending: str) -> Path:
        """Where a result of `video` lies: its name below the folder, and the ending."""
        return self.folder / f"{video.name}{ending}"

    def standing(self, video: Video) -> Standing:
        """What is there, going by names, sizes and times; no video is read for it."""
        try:
            facts = json.loads(self.path(video, SUMMARY).read_text())
            made_of = facts["made_of"]
            if facts["schema_version"] != SCHEMA_VERSION:
                return Standing("changed", "written by another version")
            for key, value in self._made_of(video).items():
                if made_of[key] != value:
                    return Standing("changed", f"another {CHANGES[key]}")
            for ending, size_bytes in facts["files"].items():
                if self.path(video, ending).stat().st_size != size_bytes:
                    return Standing("changed", "its results were changed")
            if facts["state"] not in ("whole", "damaged"):
                return Standing("failed", "failed before")
            return Standing(facts["state"], facts["reason"])
        except FileNotFoundError:
            return Standing("new", "new")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Standing("changed", "its summary can't be read")

    def deliver(self, video: Video, job: Job, outcome: Outcome) -> None:
        """Rename a job's results into place, its summary last; OSError where that fails.

        Until the summary is there the video does not count as done, whatever ends this.
        """
        summary = self.path(video, SUMMARY)
        summary.parent.mkdir(parents=True, exist_ok=True)
        self._discard(video)
        sizes = {e: job.result(e).stat().st_size for e in outcome.endings}
        for ending in outcome.endings:
            job.result(ending).replace(self.path(video, ending))
        facts = {
            "schema_version": SCHEMA_VERSION,
            "video": video.name,
            "state": outcome.state,
            "reason": outcome.reason,
            "made_of": self._made_of(video),
            "files": sizes,
            **outcome.facts,
        }
        filled = job.work / "summary"
        write_json(filled, facts)
        filled.replace(summary)

    def _discard(self, video: Video) -> None:
        """Take away the summary of an earlier result, then the files that it names."""
        summary = self.path(video, SUMMARY)
        try:
            endings = tuple(json.loads(summary.read_text())["files"])
        except (OSError, ValueError, KeyError, TypeError):
            endings = ()
        summary.unlink(missing_ok=True)
        for ending in endings:
            self.path(video, ending).unlink(missing_ok=True)

    def _made_of(self, video: Video) -> dict[str, Any]:
        size = {"size_bytes": video.size_bytes, "mtime_ns": video.mtime_ns}
        return {**size, **asdict(self._recipe)}


#: What has changed where this key of `made_of` has.
CHANGES: Mapping[str, str] = {
    "size_bytes": "video",
    "mtime_ns": "video",
    "model_sha256": "model",
    "options_sha256": "set of options",
}


def write_json(path: Path, facts: object) -> None:
    """Write plain values, down to the disk; names of any bytes are kept, escaped."""
    with path.open("w", encoding="ascii") as file:
        json.dump(facts, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
