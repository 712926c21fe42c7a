"""What is said of a run over many videos, while it goes on and afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from atpn_exporters.fleet.listing import Remark

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Failure:
    """A video without a whole result."""

    video: str
    state: Literal["damaged", "failed"]  # damaged: trying again would give the same
    reason: str
    kept: bool = False  # whether there are results of a part of it


@dataclass(frozen=True)
class Plan:
    """What is to be done, before anything is."""

    to_do: Mapping[str, int]  # videos by why: "new", "failed before", "another model" ...
    done_before: int
    bytes_to_do: int

    @property
    def videos(self) -> int:
        """All videos of the folder."""
        return self.done_before + sum(self.to_do.values())


@dataclass(frozen=True)
class Progress:
    """How far the run is."""

    videos: int  # that ended in this run
    videos_to_do: int
    bytes: float  # of the videos, the started ones by their share
    bytes_to_do: int
    frames: int  # tracked in this run, in videos not yet ended too
    failures: int
    busy: int  # workers


class Listener(Protocol):
    """Told how it goes."""

    def planned(self, plan: Plan) -> None:
        """Once, at first."""

    def progress(self, progress: Progress) -> None:
        """Several times a second."""

    def failed(self, failure: Failure) -> None:
        """A video ended without a whole result."""


@dataclass
class Tally:
    """Counts while the run goes on."""

    whole: int = 0
    done_before: int = 0
    done_elsewhere: int = 0  # by another run, meanwhile
    retries: int = 0
    frames: int = 0
    ended: int = 0  # videos of this run's plan that are no longer to do
    ended_bytes: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)  # by name, of every run


@dataclass(frozen=True)
class FleetReport:
    """What came of a run. `done_before` and `failures` count every video of the folder."""

    folder: str
    output_dir: str
    workers: int
    to_do: Mapping[str, int]
    whole: int  # tracked to their ends in this run
    done_before: int  # whole or damaged, by an earlier run
    done_elsewhere: int  # by another run, while this one went on
    left: int  # not begun or given up, because this run was interrupted
    retries: int  # after a worker had died
    frames: int
    wall_s: float  # from the first worker that was ready
    failures: tuple[Failure, ...]
    passed_over: tuple[Remark, ...]
    busy_elsewhere: Mapping[str, str]  # videos that another run has in hand, and who it is
    interrupted: bool

    @property
    def fps(self) -> float:
        """Frames a second of all workers together."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def ok(self) -> bool:
        """Whether every video of the folder has a whole result, or is being seen to elsewhere."""
        return not self.failures and not self.interrupted

    @property
    def damaged(self) -> int:
        """Failures whose videos are at fault."""
        return sum(failure.state == "damaged" for failure in self.failures)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": "atpn-track-many",
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "wall_s": round(self.wall_s, 3),
            "fps": round(self.fps, 2),
        }


def counted(reasons: Sequence[str]) -> Mapping[str, int]:
    """How often each reason came, the most frequent first."""
    return dict(Counter(reasons).most_common())


def shown(name: str) -> str:
    """A name of any bytes as one printable line."""
    printable = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable)
