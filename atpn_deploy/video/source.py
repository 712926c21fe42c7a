"""A source: whatever gives upright RGB frames, one after the other, each with its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Context


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    index: int  # from 0, counted in the input: with `every` 10 come 0, 10, 20 ...
    time_s: float  # seconds since the first frame of the input; always later than the frame before
    image: NDArray[np.uint8]  # (H, W, 3) RGB, 0..255, upright, contiguous, the caller's own


class Source(Context, Protocol):
    """Frames to iterate over, once; a context manager that closes what it opened.

    Only the frame that was asked for is in memory, and the few that a decoder holds. Opening
    raises VideoError where there is nothing to read. What goes wrong later never takes away what
    was delivered: the iteration ends and `problem` says why.
    """

    @property
    def name(self) -> str:
        """What a message calls it: a path, or "camera 0"."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the first frame in pixels, upright; None where not known yet."""

    @property
    def frames_expected(self) -> int | None:
        """How many frames the input says that it holds, passed over or not; None for a camera."""

    @property
    def fps(self) -> float | None:
        """Frames a second as the input states them; nominal, the times of the frames decide."""

    @property
    def problem(self) -> str:
        """Why the iteration ended before the input's end, as a sentence; empty if it did not."""

    @property
    def damaged(self) -> int:
        """Frames so far that were lost in damaged data, or that the decoder had to patch."""

    def __iter__(self) -> Iterator[Frame]: ...
