"""What a detector is: anything that proposes squares of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box


class Detector(Protocol):
    """Proposes squares. Missing a face cannot be made good; a false alarm costs one inference."""

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """(H, W, 3) RGB to squares as the crop contract frames a face, in any order."""


@dataclass(frozen=True)
class Placement:
    """Where a detector's boxes lie against the crop contract's square.

    A face's contract square has `scale` times the size of the detector's box, and its centre is
    moved from there by `right` and `down` times that size.
    """

    scale: float
    right: float
    down: float

    def square(self, x: float, y: float, size: float) -> Box:
        """The contract's square for a box of this centre and size, all in pixels."""
        side = size * self.scale
        return Box(x + size * self.right - side / 2, y + size * self.down - side / 2, side)
