"""One fault: what is done to a finished file, and which layer the bisect must name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.bisect.measure import Examination, examine
from atpn_exporters.target import Target

if TYPE_CHECKING:
    from atpn_exporters.bisect.reference import Network

T = TypeVar("T")
Array = NDArray[Any]


@dataclass(frozen=True)
class Fault(Generic[T]):
    """A way to spoil a file of one format, given as T."""

    name: str
    base: str  # the quantisation of the file that is spoilt
    module: str  # the PyTorch module that the bisect must put first
    plant: Callable[[T], None]


@dataclass(frozen=True)
class Found:
    """What the bisect made of one fault."""

    fault: str
    format: str
    base: str
    module: str
    rank: int  # of the right module, 1 for first; 0 if it is not among the layers
    first: str  # what was named first
    damage_px: float  # what the right module's fault costs alone
    alone_suspect: bool  # is it the only layer that is off by more than rounding explains?


def rank_of(examination: Examination, module: str) -> tuple[int, float]:
    """(place of a module among the layers, from 1; its damage in px); (0, nan) if it is absent."""
    for place, finding in enumerate(examination.findings, 1):
        if finding.layer.name == module:
            return place, finding.damage.landmarks_px
    return 0, float("nan")


def judge(
    fault: Fault[Any],
    target: Target,
    path: Path,
    network: Network,
    images: NDArray[np.uint8],
) -> Found:
    """Bisect a spoilt file of the signature `align`."""
    if target.dissect is None:
        raise ValueError(f"{target.name} can't be bisected")
    file = target.dissect(path, "align", network.called)
    examination = examine(network, file, images, lambda done, count: None)
    rank, damage_px = rank_of(examination, fault.module)
    first = examination.findings[0].layer.name
    suspects = [f.layer.name for f in examination.findings if f.beyond_rounding]
    alone = suspects == [fault.module]
    return Found(fault.name, target.format, fault.base, fault.module, rank, first, damage_px, alone)


def permuted(weight: Array) -> Array:
    """Output channels one place on."""
    return np.roll(weight, 1, axis=0)


def mirrored(plane: Array) -> Array:
    """A map of coordinates, height and width last or in the middle, with x and y exchanged."""
    axes = (0, 1, 3, 2) if plane.shape[2] == plane.shape[3] else (0, 2, 1, 3)
    return np.ascontiguousarray(plane.transpose(axes))


def epsilon_factors(model: Any, block: str, wrong: float) -> NDArray[np.float32]:
    """What another epsilon in a batch norm multiplies the folded weights of each channel by."""
    norm = model.get_submodule(f"{block}.norm")
    variance = norm.running_var.numpy()
    factors = np.sqrt((variance + norm.eps) / (variance + wrong))
    return np.asarray(factors, np.float32)


#: For each format: the quantisations that faults are planted into, by name to file.
Bases = Mapping[str, Path]
