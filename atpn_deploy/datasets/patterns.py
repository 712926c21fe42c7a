"""Pictures that no camera took, which are no faces either."""

from __future__ import annotations

import numpy as np

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.datasets.faces import Image


def random_pattern(rng: np.random.Generator) -> Image:
    """A (112, 112, 3) crop: flat, noise, a ramp, stripes, a board or rings, in two colours."""
    shape = (CROP_SIDE, CROP_SIDE, 3)
    kind = rng.integers(6)
    if kind == 0:
        return np.broadcast_to(rng.integers(0, 256, 3), shape).astype(np.uint8)
    if kind == 1:
        return rng.integers(0, 256, shape).astype(np.uint8)
    x = np.broadcast_to(np.linspace(0, 1, CROP_SIDE), shape[:2])
    x, y = (x, x.T) if rng.random() < 0.5 else (x.T, x)
    waves = rng.uniform(4, 80)
    pattern = 2 * x - 1
    if kind == 3:
        pattern = np.sin(waves * x)
    elif kind == 4:
        pattern = np.sign(np.sin(waves * x) * np.sin(waves * y))
    elif kind == 5:
        pattern = np.sin(waves * np.hypot(x - rng.uniform(), y - rng.uniform()))
    low, high = rng.uniform(0, 255, (2, 3))
    crop = low + (high - low) * (pattern[..., None] + 1) / 2
    return np.asarray(crop, np.uint8)
