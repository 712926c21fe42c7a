"""The range of each activation over a set of crops, without the few crops that reach furthest."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from atpn_exporters.target import Ranges

#: Of 576 crops one drove the alignment branch to 90 times its usual values; with the ranges that
#: it asked for, int8 landmarks were off by 8 px instead of 0.3. Such crops are rarer than this.
OUTLIER_SHARE = 0.01


class RangeObserver:
    """Keeps the least and the greatest value of every tensor for each crop.

    The range of a tensor is the least and greatest value over all crops but the OUTLIER_SHARE that
    reach furthest at each end: the plain minimum and maximum up to 99 crops.
    """

    name = "min/max over all crops but the 1 % that reach furthest"

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._lows: list[list[float]] = []
        self._highs: list[list[float]] = []

    def add(self, lows: Iterable[float], highs: Iterable[float]) -> None:
        """Take one crop's least and greatest values, in the order of the names."""
        self._lows.append([float(low) for low in lows])
        self._highs.append([float(high) for high in highs])

    def ranges(self) -> Ranges:
        """(low, high) by name."""
        left_out = int(OUTLIER_SHARE * len(self._lows))
        low = np.sort(np.array(self._lows), axis=0)[left_out]
        high = np.sort(np.array(self._highs), axis=0)[-1 - left_out]
        return {n: (float(a), float(b)) for n, a, b in zip(self._names, low, high, strict=True)}
