"""What the rules look at: every operator's ranges over crops, its weights, the outputs' spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_exporters.observer import RangeObserver
from atpn_exporters.tracing import Site, TracedNetwork

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SiteEvidence:
    """One operator over all crops."""

    site: Site
    readers: tuple[Site, ...]
    shape: tuple[int, ...]  # of one crop's result, without the batch
    low: float  # calibrated range, see RangeObserver
    high: float
    largest: float  # magnitude, over all crops
    channel_low: NDArray[np.float32]  # (C,) over all crops and cells
    channel_high: NDArray[np.float32]
    weight: NDArray[np.float32] | None = None  # (outputs, values of one output channel)
    bias: NDArray[np.float32] | None = None  # (outputs,)
    constants: tuple[NDArray[np.float32], ...] = ()

    @property
    def span(self) -> float:
        """The range with zero in it, as integers store it."""
        return max(self.high, 0.0) - min(self.low, 0.0)


@dataclass(frozen=True)
class Evidence:
    """A network over some crops."""

    sites: Mapping[str, SiteEvidence]
    #: How far each output moves from crop to crop (standard deviation, mean over its elements),
    #: and its unit.
    spread: Mapping[str, tuple[float, str]]
    crops: int


#: From a contract output's own unit to the one it is judged in.
UNITS = {
    "landmarks": (float(CROP_SIDE), "px"),
    "pose": (180 / np.pi, "degree"),
    "confidence": (1.0, "probability"),
}


#: Crops whose values are held at once: all operators' results of one take 10 MB.
PART = 32


def gather(network: nn.Module, crops: NDArray[np.uint8]) -> Evidence:
    """Run the folded network on crops (N, 112, 112, 3) and keep what the rules need."""
    import torch

    traced = TracedNetwork(network)
    seen: dict[str, _Seen] = {}
    said: dict[str, list[Tensor]] = {}
    for first in range(0, len(crops), PART):
        values = traced.run(crops[first : first + PART])
        for name in traced.sites:
            if _is_float_tensor(values.get(name)):
                seen.setdefault(name, _Seen(name)).add(values[name].numpy())
        for name, value in traced.outputs(values).items():
            said.setdefault(name, []).append(value)
    spread = {}
    for name, parts in said.items():
        factor, unit = UNITS[name]
        moved = float(torch.cat(parts).std(0, correction=0).mean())
        spread[name] = (moved * factor, unit)
    sites = {name: _evidence(traced, traced.sites[name], over) for name, over in seen.items()}
    return Evidence(sites, spread, len(crops))


class _Seen:
    """One operator's results so far, reduced to ranges."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._observer = RangeObserver([name])
        self.shape: tuple[int, ...] = ()
        self.channel_low: NDArray[np.float32] = np.array(np.inf, np.float32)
        self.channel_high: NDArray[np.float32] = np.array(-np.inf, np.float32)

    def add(self, array: NDArray[np.float32]) -> None:
        """Take the results (N, C, ...) for some crops in."""
        flat = array.reshape(len(array), -1)
        for low, high in zip(flat.min(1), flat.max(1), strict=True):
            self._observer.add([low], [high])
        others = tuple(axis for axis in range(array.ndim) if axis != 1)
        self.shape = array.shape[1:]
        self.channel_low = np.minimum(self.channel_low, array.min(others))
        self.channel_high = np.maximum(self.channel_high, array.max(others))

    @property
    def range(self) -> tuple[float, float]:
        """Without the crops that reach furthest, see RangeObserver."""
        return self._observer.ranges()[self._name]

    @property
    def largest(self) -> float:
        """Magnitude over all crops."""
        return float(np.maximum(-self.channel_low, self.channel_high).max())


def _is_float_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim > 1


def _evidence(traced: TracedNetwork, site: Site, seen: _Seen) -> SiteEvidence:
    """One operator's ranges with its weights and neighbours."""
    layer = traced.layer(site)
    weight = bias = None
    if layer is not None:
        stored = layer.get_parameter("weight").detach()
        if site.kind == "conv_transpose":
            stored = stored.transpose(0, 1)  # (inputs, outputs, ...) as PyTorch keeps it
        weight = stored.reshape(stored.shape[0], -1).numpy()
        parameters = dict(layer.named_parameters())
        bias = parameters["bias"].detach().numpy() if "bias" in parameters else None
    low, high = seen.range
    return SiteEvidence(
        site,
        traced.readers(site.name),
        seen.shape,
        low,
        high,
        seen.largest,
        seen.channel_low,
        seen.channel_high,
        weight,
        bias,
        tuple(traced.constants(site)),
    )
