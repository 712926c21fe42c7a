"""What a file may do in its closed loop: each rule with its unit and its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atpn_deploy.parity import Limit
from atpn_exporters.closed_loop.figures import Figures, Jitter, Spread
from atpn_exporters.closed_loop.pairing import Gap, Pairing, Switch

#: What the loop makes of rounding alone: a crop is rounded to whole values, so that two float32
#: networks settle up to 0.04 px and 0.08 degrees apart (medians; docs/tracking-parity.md).
FLOOR_PX, FLOOR_DEGREES = 0.1, 0.5
#: Frames of a film are smaller, darker and more blurred than the golden crops, and a quantised file
#: drifts more on them: up to 1.1 times what it may there (measured).
HARDER = 1.5
#: A face that is missed by a hair where the reference finds it is found at the next rescan
#: (`TrackerOptions`); measured: 19 frames later at most.
LATE_FRAMES = 30


@dataclass(frozen=True)
class Comparison:
    """A file's closed loop against the reference's, over one video."""

    frames: int  # of the video
    reference_frames: int  # frames times faces that the reference tracks
    paired_frames: int  # of these, those that the file tracks too
    extra_frames: int  # frames times faces that the file alone tracks
    #: Pixels of the frame, over faces that both follow for a while; None where there is none.
    landmarks_px: Spread | None
    landmarks_percent: Spread | None  # of the inter-ocular distance, which a profile makes small
    landmarks_crop_px: Spread | None  # pixels of the 112x112 crop, whatever way a face looks
    pose_degrees: Spread | None
    confidence: Spread | None
    growth_crop_px: float | None  # pixels of the crop, see `Figures`
    jitter: Jitter | None
    gaps: tuple[Gap, ...]
    switches: tuple[Switch, ...]

    @staticmethod
    def of(frames: int, pairing: Pairing, figures: Figures) -> Comparison:
        """What was gathered over a whole video."""
        samples = figures.samples
        return Comparison(
            frames,
            pairing.reference_frames,
            pairing.paired_frames,
            pairing.extra_frames,
            Spread.of([sample.landmarks_px for sample in samples]),
            Spread.of([sample.landmarks_percent for sample in samples]),
            Spread.of([sample.landmarks_crop_px for sample in samples]),
            Spread.of([sample.pose_degrees for sample in samples]),
            Spread.of([sample.confidence for sample in samples]),
            figures.growth_crop_px,
            figures.jitter,
            tuple(pairing.gaps),
            tuple(pairing.switches),
        )

    @property
    def lost(self) -> tuple[Gap, ...]:
        """The tracks that the reference keeps and the file loses."""
        return tuple(gap for gap in self.gaps if gap.lost)

    @property
    def latest_frames(self) -> int:
        """For how long at most the reference tracks a face before the file finds it, if ever."""
        return max((gap.frames for gap in self.gaps if gap.late), default=0)


@dataclass(frozen=True)
class LoopLimits:
    """How far the loop of a file may be from the reference's."""

    landmarks_px: float  # pixels of the crop
    pose_degrees: float

    @staticmethod
    def of(limits: Sequence[Limit]) -> LoopLimits:
        """HARDER times what one golden crop may be off, and at least what rounding makes of it."""
        pixels = [limit.value for limit in limits if limit.unit == "px"]
        degrees = [limit.value for limit in limits if limit.unit == "degree"]
        return LoopLimits(
            max(FLOOR_PX, HARDER * max(pixels)), max(FLOOR_DEGREES, HARDER * max(degrees))
        )


@dataclass(frozen=True)
class Rule:
    """One thing that is held against a limit."""

    name: str
    unit: str
    reason: str
    measure: Callable[[Comparison], float | None]  # None where there is nothing to measure
    limit: Callable[[LoopLimits], float]


@dataclass(frozen=True)
class Verdict:
    """A rule held against what was measured."""

    rule: Rule
    value: float | None  # None: the video gave nothing to measure, no face was followed for long
    limit: float

    @property
    def ok(self) -> bool:
        """False for NaN; True where there was nothing to measure."""
        return self.value is None or self.value <= self.limit


def _median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


LOST = Rule(
    "tracks lost",
    "tracks",
    "a track that the reference keeps must not be lost",
    lambda seen: len(seen.lost),
    lambda limits: 0,
)
SWITCHED = Rule(
    "id switches",
    "switches",
    "one face keeps one id as long as it does so with the reference",
    lambda seen: len(seen.switches),
    lambda limits: 0,
)
LATE = Rule(
    "faces found late",
    "frames",
    "a face that is missed by a hair is found at the next rescan",
    lambda seen: seen.latest_frames,
    lambda limits: LATE_FRAMES,
)
LANDMARKS = Rule(
    "landmarks, median",
    "px of the crop",
    "half as much again as a golden crop may be off: the loop must not make more of it",
    lambda seen: _median(seen.landmarks_crop_px),
    lambda limits: limits.landmarks_px,
)
POSE = Rule(
    "pose, median",
    "degree",
    "half as much again as a golden crop may be off: the loop must not make more of it",
    lambda seen: _median(seen.pose_degrees),
    lambda limits: limits.pose_degrees,
)
GROWTH = Rule(
    "growth of the drift",
    "px of the crop",
    "a loop that feeds on its own errors goes further and further away",
    lambda seen: seen.growth_crop_px,
    lambda limits: limits.landmarks_px,
)
JITTER = Rule(
    "jitter beyond the reference's",
    "px of the crop",
    "integer landmarks move in steps: by no more than one crop may be off",
    lambda seen: None if seen.jitter is None else seen.jitter.excess_px,
    lambda limits: limits.landmarks_px,
)

#: In the order of a report; the first two are what the loop is for.
RULES = (LOST, SWITCHED, LATE, LANDMARKS, POSE, GROWTH, JITTER)


def judged(seen: Comparison, limits: Sequence[Limit]) -> tuple[Verdict, ...]:
    """Every rule held against a comparison; `limits` are those of one crop, as of `Target`."""
    loop = LoopLimits.of(limits)
    return tuple(Verdict(rule, rule.measure(seen), rule.limit(loop)) for rule in RULES)
