"""What passes between the one who hands out videos and those who track them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

#: `whole`: tracked to its end. `damaged`: what could be read was tracked; trying again would give
#: the same. `failed`: anything else; worth another try, and cheap where nothing can be read.
State = Literal["whole", "damaged", "failed"]


@dataclass(frozen=True)
class Job:
    """One video for one worker."""

    number: int
    video: Path
    work: Path  # an empty folder of its own, which takes the results

    def result(self, ending: str) -> Path:
        """Where the worker puts the result that is delivered as the video's name + `ending`."""
        return self.work / f"result{ending}"


@dataclass(frozen=True)
class Tracked:
    """A video of which everything was tracked that could be."""

    frames: int
    problem: str  # what is wrong with the video, one line; empty if nothing is
    facts: Mapping[str, Any]  # plain values for the summary


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    number: int
    state: State
    reason: str  # why it is not whole, one line; empty if it is
    frames: int  # that were tracked
    endings: tuple[str, ...] = ()  # of the results that lie in the job's folder
    facts: Mapping[str, Any] = field(default_factory=dict)  # plain values for the summary


@dataclass(frozen=True)
class Ready:
    """A worker has opened what it needs and takes jobs."""


@dataclass(frozen=True)
class Refused:
    """A worker can't open what it needs; no other could."""

    message: str


@dataclass(frozen=True)
class Frames:
    """How far a job is."""

    number: int
    frames: int
    share: float  # of the video, 0 to 1; 0 where the video does not say how long it is


@dataclass(frozen=True)
class Finished:
    """A job ended."""

    outcome: Outcome


@dataclass(frozen=True)
class Died:
    """A worker is gone, and with it what it had done of the job."""

    number: int
    reason: str


Event = Frames | Finished | Died
#: Told now and then: frames so far, and the share of the video.
Told = Callable[[int, float], None]


class VideoTracker(Protocol):
    """What a worker keeps open from one video to the next."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the results that a whole video has."""

    def track(self, job: Job, told: Told) -> Tracked:
        """Track one video and put the results into the job's folder.

        A video that broke off is no error: `problem` tells. Raises AtpnError, OSError and
        MemoryError where there is nothing to track or something else is at fault; results that
        were finished up to there are kept.
        """


class Setup(Protocol):
    """What every worker is started with. Plain values: it crosses processes and machines."""

    def open(self) -> VideoTracker:
        """Called once in each worker; AtpnError where the worker can be of no use."""


class Crew(Protocol):
    """Workers; a context manager that ends them, whatever they are doing."""

    @property
    def size(self) -> int:
        """How many workers there are at most."""

    @property
    def idle(self) -> int:
        """How many wait for a job."""

    def give(self, job: Job) -> None:
        """Hand a job to an idle worker."""

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What happened; returns at the first event, or without any after the timeout.

        Raises FleetError where workers can't be had or can't open what they need.
        """

    def __enter__(self) -> Crew: ...

    def __exit__(self, *exception: object) -> None: ...
