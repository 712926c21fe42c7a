"""The tensors that every backend agrees on: names, shapes, axes and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Tensors by contract name.
Tensors = Mapping[str, NDArray[Any]]

#: Side of the square crop that the network sees, in pixels.
CROP_SIDE = 112
#: The tracker keeps a face whose confidence is above this (paper, section 3).
CONFIDENCE_THRESHOLD = 0.7
#: Raised when a tensor's name, shape or meaning changes; every exported file carries it.
CONTRACT_VERSION = 1


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its name, its shape and what a value means."""

    name: str
    shape: tuple[int, ...]
    meaning: str


IMAGE = TensorSpec("image", (1, CROP_SIDE, CROP_SIDE, 3), "RGB, 0..255, row by row from the top")
LANDMARKS = TensorSpec("landmarks", (1, 98, 2), "fraction of the crop side, (x, y) from its corner")
POSE = TensorSpec("pose", (1, 3), "radian in [-pi, pi], (yaw, pitch, roll)")
CONFIDENCE = TensorSpec("confidence", (1, 1), "probability that the crop holds a face")

INPUTS = (IMAGE,)
OUTPUTS = (LANDMARKS, POSE, CONFIDENCE)

#: What a file computes: `align` is backbone and alignment branch, `full` is all three tasks.
SIGNATURES: Mapping[str, tuple[TensorSpec, ...]] = {"align": (LANDMARKS,), "full": OUTPUTS}


def check_image(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return `image` as float32 of the contract's shape, or raise ValueError.

    Takes (112, 112, 3) or (1, 112, 112, 3), uint8 or float in 0..255.
    """
    array = image[None] if image.ndim == 3 else image
    if array.shape != IMAGE.shape:
        raise ValueError(f"image has shape {image.shape}; expected {IMAGE.shape}, RGB, 0..255")
    return np.ascontiguousarray(array, dtype=np.float32)


def describe() -> dict[str, Any]:
    """The contract as plain values, for the metadata of an exported file."""
    return {
        "version": CONTRACT_VERSION,
        "inputs": [{"name": s.name, "shape": list(s.shape), "meaning": s.meaning} for s in INPUTS],
        "outputs": [
            {"name": s.name, "shape": list(s.shape), "meaning": s.meaning} for s in OUTPUTS
        ],
    }
