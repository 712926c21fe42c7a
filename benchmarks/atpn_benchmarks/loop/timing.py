"""The loop of each file, frame by frame, the files taking turns every few frames."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atpn_benchmarks.latency import preempted
from atpn_benchmarks.loop.clip import Clip
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.errors import AtpnError
from atpn_deploy.faces import Session
from atpn_deploy.stage_times import StageTimes
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions
from atpn_deploy.video.source import Frame

#: What a frame passes, in this order; "track" is everything that is none of the others: the box
#: round the landmarks, the states, the events.
STAGES = ("crop", "infer", "track", "filter")
#: Frames in a row of one file before the next one has its turn; the first of them is not counted,
#: for it finds the caches full of what the other file left there.
TURN = 10
#: The clocks that the stages are measured by, in alternating passes.
CLOCKS = ("cpu", "wall")


@dataclass(frozen=True)
class Clocks:
    """Two clocks in seconds: the processor's, of all threads of this process, and the wall's."""

    cpu: Callable[[], float] = time.process_time
    wall: Callable[[], float] = time.perf_counter


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    passes: int = 5  # over all frames, on each of the two clocks
    smoothing: str = "light"
    seed: int = 0


@dataclass(frozen=True)
class Entrant:
    """One open file."""

    name: str
    session: Session
    detector: Detector


@dataclass(frozen=True)
class Spread:
    """Of the samples that were not preempted, in seconds."""

    median_s: float
    p95_s: float

    @classmethod
    def of(cls, samples: NDArray[np.float64]) -> Spread:
        """Of one sample or more."""
        median, p95 = np.percentile(samples, (50, 95))
        return cls(float(median), float(p95))


@dataclass(frozen=True)
class LoopTimes:
    """What a file's loop took, counted over the frames in which one face was followed.

    A frame in which the detector ran, or nothing was followed, is another kind of frame.
    """

    name: str
    frames: int  # that were counted
    detections: int  # runs of the detector in all passes, each pass's first frame included
    preempted: float  # share of the counted frames that lost the processor, 0..1; left out below
    loop_cpu: Spread
    loop_wall: Spread
    stages_cpu: dict[str, Spread]
    stages_wall: dict[str, Spread]
    #: Seconds of every counted frame, (cpu, wall), in the order of measuring.
    samples_s: tuple[tuple[float, float], ...] = field(repr=False)

    @property
    def around_network(self) -> float:
        """Share of the processor's time that is not the network's, of the sum of the stages."""
        medians = {stage: spread.median_s for stage, spread in self.stages_cpu.items()}
        whole = sum(medians.values())
        return (whole - medians["infer"]) / whole if whole else 0.0


def time_loops(
    entrants: Sequence[Entrant],
    clip: Clip,
    plan: Plan,
    clocks: Clocks | None = None,
    on_pass: Callable[[int, int], None] = lambda done, of: None,
) -> list[LoopTimes]:
    """Time every file's loop on the frames of the clip, in the order of `entrants`.

    `on_pass(done, of)` hears of every pass. Raises AtpnError where a file follows no face.
    """
    loops = [_Loop(entrant, plan, clocks or Clocks()) for entrant in entrants]
    shuffle = random.Random(plan.seed).shuffle
    for number in range(len(CLOCKS) * plan.passes):
        for loop in loops:
            loop.begin(CLOCKS[number % len(CLOCKS)])
        for start in range(0, len(clip.frames), TURN):
            order = list(loops)
            shuffle(order)
            for loop in order:
                loop.turn(clip.frames[start : start + TURN])
        on_pass(number + 1, len(CLOCKS) * plan.passes)
    return [loop.times(clip) for loop in loops]


class _Loop:
    """One file's tracker, and what it took so far."""

    def __init__(self, entrant: Entrant, plan: Plan, clocks: Clocks) -> None:
        self._entrant = entrant
        self._options = TrackerOptions(max_faces=1, smoothing=plan.smoothing)
        self._clocks = clocks
        self._detections = 0
        self._samples: list[tuple[float, float]] = []
        self._on: list[str] = []  # the clock that each sample's stages were measured by
        self._stages: list[list[float]] = []

    def begin(self, clock: str) -> None:
        """A new pass over the clip, its stages measured by `cpu` or `wall`."""
        self._clock = clock
        self._tracker = Tracker(
            self._entrant.session,
            self._entrant.detector,
            self._options,
            StageTimes(getattr(self._clocks, clock)),
        )

    def turn(self, frames: Sequence[Frame]) -> None:
        """Follow the face through some frames."""
        for place, frame in enumerate(frames):
            seconds, inferences = self._tracker.times.seconds, self._tracker.times.calls["infer"]
            before = [seconds[stage] for stage in STAGES]
            wall, cpu = self._clocks.wall(), self._clocks.cpu()
            found = self._tracker.step(frame.image, frame.time_s)
            cpu, wall = self._clocks.cpu() - cpu, self._clocks.wall() - wall
            self._detections += found.detected
            once = self._tracker.times.calls["infer"] == inferences + 1
            if place and once and found.tracked:  # a detector's find is looked at twice
                self._samples.append((cpu, wall))
                self._on.append(self._clock)
                self._stages.append([seconds[s] - b for s, b in zip(STAGES, before, strict=True)])

    def times(self, clip: Clip) -> LoopTimes:
        """Everything measured; AtpnError where there is nothing."""
        if not set(CLOCKS) <= set(self._on):
            raise AtpnError(
                f"{self._entrant.name} followed no face on {len(clip.frames)} frames of "
                f"{clip.name}; give a --video that shows one, or more --frames"
            )
        cpu, wall = np.array(self._samples).T
        lost = preempted(wall, cpu, threads=1)
        kept = ~lost if not lost.all() else lost
        stages = np.array(self._stages)
        on = np.array(self._on)
        by_clock = {
            clock: {
                stage: Spread.of(stages[_some(kept & (on == clock), on == clock), k])
                for k, stage in enumerate(STAGES)
            }
            for clock in CLOCKS
        }
        return LoopTimes(
            self._entrant.name,
            len(cpu),
            self._detections,
            float(lost.mean()),
            Spread.of(cpu[kept]),
            Spread.of(wall[kept]),
            by_clock["cpu"],
            by_clock["wall"],
            tuple(self._samples),
        )


def _some(wanted: NDArray[np.bool_], all_: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The wanted samples, or all where none is left of them."""
    return wanted if wanted.any() else all_
