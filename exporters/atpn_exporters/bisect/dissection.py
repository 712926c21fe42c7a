"""A deployable file as the bisect sees it: operators between named tensors, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

#: Tensors as the file stores them, by the file's own names.
Stored = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Storage:
    """How a tensor is stored: real = scale * (stored - zero)."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float = 1.0
    zero: int = 0
    #: Whether real values are rounded to steps; an integer tensor that is not holds indices.
    quantised: bool = False

    def write(self, real: NDArray[np.float64]) -> NDArray[Any]:
        """Real values of one crop, in this tensor's layout, to stored ones."""
        stored = real / self.scale + self.zero
        if self.quantised:
            limits = np.iinfo(self.dtype)
            stored = np.clip(np.rint(stored), limits.min, limits.max)
        with np.errstate(over="ignore"):  # beyond float16 is infinity, as the file would have it
            return np.ascontiguousarray(stored.astype(self.dtype))

    def read(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Stored values to real ones."""
        return self.scale * (stored.astype(np.float64) - self.zero)


@dataclass(frozen=True)
class Operator:
    """One operator that depends on the image. Tensors by name, constants left out."""

    #: What it computes, in one vocabulary for all formats: see `matching.FITTING`. "cast" changes
    #: how a tensor is stored and nothing else; "" is whatever the matching need not know.
    kind: str
    label: str  # what the format calls it: Conv, CONV_2D
    #: PyTorch modules that its name may stand for; empty where the name tells nothing.
    modules: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fused: str = ""  # kind of its result, where that is another: a ReLU fused into an addition
    biased: bool = True  # a layer with weights: does it add its bias itself?
    weights: int = 0  # number of weights, where it has some

    @property
    def result(self) -> str:
        """The kind of its result."""
        return self.fused or self.kind


#: Runs a part of the file on one crop: stored inputs to the stored output.
Part = Callable[[Stored], NDArray[Any]]


class Dissection(Protocol):
    """An opened file of one signature; every method raises ArtifactError in one line."""

    @property
    def runtime(self) -> str:
        """What runs the whole file and its parts, such as "ONNX Runtime 1.32.0, as shipped"."""

    @property
    def operators(self) -> tuple[Operator, ...]:
        """The operators that depend on the image, each behind those that it reads."""

    @property
    def image(self) -> str:
        """The tensor that holds the image."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """Contract name to tensor."""

    def storage(self, tensor: str) -> Storage:
        """How a tensor is stored."""

    def run(self, image: NDArray[np.uint8]) -> Stored:
        """Every tensor of the file's own run on one crop (1, 112, 112, 3)."""

    def part(self, operators: Sequence[int], inputs: Sequence[str], output: str) -> Part:
        """These operators alone (positions in `operators`), from `inputs` to `output`."""
