"""How far two trackers are apart and how much each trembles, over all frames that both follow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.metrics import angle_errors_deg, inter_ocular
from atpn_exporters.closed_loop.pairing import PROVEN_FRAMES, Pair

#: A pair that both follow for fewer frames says nothing of growth.
GROWTH_FRAMES = 2 * PROVEN_FRAMES

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile and largest of some values; NaN if one of them is."""

    median: float
    p95: float
    largest: float

    @staticmethod
    def of(values: list[float]) -> Spread | None:
        """Of some values; None of none."""
        if not values:
            return None
        array = np.asarray(values, np.float64)
        return Spread(float(np.median(array)), float(np.percentile(array, 95)), float(array.max()))


@dataclass(frozen=True)
class Sample:
    """One face in one frame: how far the file is from the reference."""

    frame: int
    time_s: float
    ids: tuple[int, int]  # of the reference's and of the file's track
    landmarks_px: float  # mean distance of the 98 points, pixels of the frame
    landmarks_percent: float  # the same, percent of the reference's inter-ocular distance
    landmarks_crop_px: float  # the same, pixels of the reference's 112x112 crop
    pose_degrees: float  # mean of the three angles' errors
    confidence: float  # absolute difference


@dataclass(frozen=True)
class Jitter:
    """How a track trembles: change of the points' motion from frame to frame, pixels of the crop.

    The median over frames of the mean over the points of |p[k + 1] - 2 p[k] + p[k - 1]|. Steady
    motion has none.
    """

    reference_px: float
    file_px: float

    @property
    def ratio(self) -> float:
        """File over reference; infinite where only the file trembles, 1 where neither does."""
        if self.reference_px == 0:
            return 1.0 if self.file_px == 0 else float("inf")
        return self.file_px / self.reference_px

    @property
    def excess_px(self) -> float:
        """By how much the file trembles more; below 0 where it trembles less."""
        return self.file_px - self.reference_px


@dataclass
class Figures:
    """Gathers pairs frame by frame; a few numbers a face and frame are kept, no picture."""

    _samples: dict[tuple[int, int], list[Sample]] = field(default_factory=dict)  # by ids
    _trembling: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    _last: dict[tuple[int, int], tuple[int, list[tuple[Points, Points]]]] = field(
        default_factory=dict
    )

    def add(self, index: int, time_s: float, pairs: list[Pair]) -> None:
        """The pairs of one frame."""
        for pair in pairs:
            one, other = pair.reference.seen, pair.file.seen
            away = float(np.linalg.norm(other.landmarks - one.landmarks, axis=-1).mean())
            self._samples.setdefault(pair.ids, []).append(
                Sample(
                    index,
                    time_s,
                    pair.ids,
                    away,
                    100 * away / float(inter_ocular(one.landmarks)),
                    CROP_SIDE * away / one.box.side,
                    float(angle_errors_deg(other.pose, one.pose).mean()),
                    abs(other.confidence - one.confidence),
                )
            )
            self._tremble(index, pair)
        self._last = {ids: past for ids, past in self._last.items() if past[0] == index}

    def _tremble(self, index: int, pair: Pair) -> None:
        """Second differences, where the two frames before show the same pair."""
        _, points = self._last.get(pair.ids, (index, []))
        points = [*points[-2:], (pair.reference.seen.landmarks, pair.file.seen.landmarks)]
        self._last[pair.ids] = index, points
        if len(points) == 3:
            first, second, third = points
            scale = CROP_SIDE / pair.reference.seen.box.side
            reference, file = (
                scale * float(np.linalg.norm(first[i] - 2 * second[i] + third[i], axis=-1).mean())
                for i in (0, 1)
            )
            self._trembling.setdefault(pair.ids, []).append((reference, file))

    @property
    def samples(self) -> list[Sample]:
        """Of the faces that both follow for PROVEN_FRAMES and more, frame by frame.

        Others are left out: the detector has placed them, not the loop.
        """
        kept = [sample for ids in self._proven for sample in self._samples[ids]]
        return sorted(kept, key=lambda sample: (sample.frame, sample.ids))

    @property
    def _proven(self) -> list[tuple[int, int]]:
        return [ids for ids, found in self._samples.items() if len(found) >= PROVEN_FRAMES]

    @property
    def jitter(self) -> Jitter | None:
        """Of both, over the same frames; None where no face was followed for three."""
        trembling = [pair for ids in self._proven for pair in self._trembling.get(ids, ())]
        if not trembling:
            return None
        reference, file = np.median(np.array(trembling), axis=0)
        return Jitter(float(reference), float(file))

    @property
    def growth_crop_px(self) -> float | None:
        """How much drift grows while a face is followed, pixels of the crop.

        Median of the last third of a pair's frames minus that of the first third, and of those the
        median over the pairs of GROWTH_FRAMES and more: a single face whose profile the network
        reads in two ways is no growth of the loop. None where there is no such pair.
        """
        drifts = [[s.landmarks_crop_px for s in found] for found in self._samples.values()]
        long = [values for values in drifts if len(values) >= GROWTH_FRAMES]
        if not long:
            return None
        thirds = [len(values) // 3 for values in long]
        grown = [
            float(np.median(values[-third:]) - np.median(values[:third]))
            for values, third in zip(long, thirds, strict=True)
        ]
        return float(np.median(grown))
