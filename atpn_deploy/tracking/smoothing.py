"""The filter that takes the jitter out of a face and leaves its motion: One Euro, by face size.

Casiez, Roussel and Vogel, "1 € Filter", CHI 2012: a first-order low-pass whose cutoff grows with
speed. Here it grows with the square of the speed, which leaves more of fast motion and of blinks
for the same calm at rest; docs/tracking-filter.md has both measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box
from atpn_deploy.errors import ConfigError
from atpn_deploy.faces import Face

Floats = NDArray[np.float64]

#: After more than this without a measurement the filter starts anew: even the lowest cutoff would
#: let half of a new value through, and the speed is that of another movement.
LONGEST_GAP_S = 0.5
#: The low-pass on the speeds. The paper's 1 Hz is for a cursor that has to rest on a pixel; at 3 Hz
#: the start of a motion is seen earlier, for little jitter.
SPEED_CUTOFF_HZ = 3.0


@dataclass(frozen=True)
class Cutoff:
    """The cutoff frequency of one quantity: `minimum_hz + hz_per_squared_speed * speed**2`."""

    minimum_hz: float  # of a quantity at rest: lower is calmer, and slower to begin to move
    hz_per_squared_speed: float  # higher follows motion more closely


@dataclass(frozen=True)
class Tuning:
    """The constants of the filter on one face."""

    place: Cutoff  # of each landmark and of the box; speed in sides of the box per second
    pose: Cutoff  # speed in radians per second


@dataclass(frozen=True)
class Strength:
    """How much to filter, by name."""

    name: str
    description: str  # one phrase for a help text
    tuning: Tuning | None  # None leaves faces as they are


#: Strengths by name, in rising order.
STRENGTHS: Mapping[str, Strength] = MappingProxyType(
    {
        strength.name: strength
        for strength in (
            Strength("off", "what the network said", None),
            Strength(
                "light",
                "calm at rest, close behind in motion",
                Tuning(place=Cutoff(0.5, 120.0), pose=Cutoff(0.5, 6.0)),
            ),
            Strength(
                "strong",
                "calmer still, but blinks are flattened",
                Tuning(place=Cutoff(0.3, 15.0), pose=Cutoff(0.3, 1.0)),
            ),
        )
    }
)


def strength_named(name: str) -> Strength:
    """A strength by name; ConfigError for one that does not exist."""
    if name not in STRENGTHS:
        raise ConfigError(f"no filter is called {name!r}; expected {', '.join(STRENGTHS)}")
    return STRENGTHS[name]


class OneEuro:
    """The One Euro filter on (N, D) values of which each row moves as one.

    A row has one speed, the length of its filtered velocity, and so one cutoff for its D values: a
    point that moves along x is followed in y as well. The velocity is taken from the last filtered
    value to the new one, as the paper has it.
    """

    def __init__(self, values: Floats, minimum_hz: Floats, hz_per_squared_speed: Floats) -> None:
        self.values = values  # (N, D), as filtered so far
        self._velocity = np.zeros_like(values)  # units per second
        self._minimum = 2 * math.pi * minimum_hz  # (N,), radians per second
        self._per_squared_speed = 2 * math.pi * hz_per_squared_speed  # (N,)

    def step(self, values: Floats, units: Floats, dt_s: float) -> Floats:
        """Take the next (N, D) values, `dt_s` > 0 after the last; a speed of 1 is `units` (N, 1).

        Returns the filtered values, and keeps them: they are never changed in place.
        """
        change = values - self.values
        turn = 2 * math.pi * SPEED_CUTOFF_HZ * dt_s
        self._velocity += turn / (1 + turn) * (change / (units * dt_s) - self._velocity)
        squared_speed = np.einsum("ij,ij->i", self._velocity, self._velocity)
        turns = (self._minimum + self._per_squared_speed * squared_speed) * dt_s
        self.values = self.values + (turns / (1 + turns))[:, None] * change
        return self.values


class FaceFilter:
    """Filters one face from frame to frame; each face has its own.

    A time that is not later than the last one by at most LONGEST_GAP_S starts the filter anew:
    that face comes back as it was given, so a clock that stands still means no filtering and never
    a face that stands still. A face with a number that is not finite, or without size, comes back
    as it was given too, and leaves no trace.
    """

    def __init__(self, strength: str) -> None:
        """`strength` is a name of STRENGTHS; ConfigError for any other."""
        self._tuning = strength_named(strength).tuning
        self._filter: OneEuro | None = None
        self._time_s = math.nan

    def reset(self) -> None:
        """Forget the face: the next one is returned as it is given."""
        self._filter = None

    def step(self, face: Face, time_s: float) -> Face:
        """The face of a frame shown at `time_s` seconds, with landmarks, pose and box filtered.

        The next crop is to be taken round the landmarks that were given, not those returned, so
        that the filter can't pull the track off the face. Confidence is passed on.
        """
        if self._tuning is None:
            return face
        rows = _rows(face)
        if not (face.box.side > 0 and math.isfinite(rows.sum())):
            return face
        elapsed_s = time_s - self._time_s
        self._time_s = time_s
        if self._filter is None or not 0 < elapsed_s <= LONGEST_GAP_S:
            self._filter = _started(rows, self._tuning)
            return face
        rows[-1] = _unwound(rows[-1], self._filter.values[-1])
        units = np.full((len(rows), 1), face.box.side)
        units[-1] = 1.0
        return _face(self._filter.step(rows, units, elapsed_s), face.confidence)


def _started(rows: Floats, tuning: Tuning) -> OneEuro:
    cutoffs = [tuning.place] * (len(rows) - 1) + [tuning.pose]
    return OneEuro(
        rows,
        np.array([cutoff.minimum_hz for cutoff in cutoffs]),
        np.array([cutoff.hz_per_squared_speed for cutoff in cutoffs]),
    )


def _rows(face: Face) -> Floats:
    """(N + 2, 3): N landmarks (x, y, 0), the box (left, top, side), the pose."""
    count = len(face.landmarks)
    rows = np.zeros((count + 2, 3))
    rows[:count, :2] = face.landmarks
    rows[count] = face.box.left, face.box.top, face.box.side
    rows[count + 1] = face.pose
    return rows


def _unwound(angles: Floats, last: Floats) -> list[float]:
    """The angles, in turns of their own, that are nearest to the last ones."""
    pairs = zip(angles.tolist(), last.tolist(), strict=True)
    return [before + math.remainder(angle - before, math.tau) for angle, before in pairs]


def _face(rows: Floats, confidence: float) -> Face:
    """The face that `rows` describe, angles in [-pi, pi]."""
    left, top, side = rows[-2].tolist()
    pose = np.array([math.remainder(angle, math.tau) for angle in rows[-1].tolist()])
    return Face(Box(left, top, side), rows[:-2, :2].copy(), pose, confidence)
