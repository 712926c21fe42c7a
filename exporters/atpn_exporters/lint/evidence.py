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
    from torch import nn


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


def gather(network: nn.Module, crops: NDArray[np.uint8]) -> Evidence:
    """Run the folded network on crops (N, 112, 112, 3) and keep what the rules need."""
    traced = TracedNetwork(network)
    values = traced.run(crops)
    sites = {
        name: _evidence(traced, site, values[name])
        for name, site in traced.sites.items()
        if _is_float_tensor(values.get(name))
    }
    spread = {}
    for name, value in traced.outputs(values).items():
        factor, unit = UNITS[name]
        spread[name] = (float(value.std(0, correction=0).mean()) * factor, unit)
    return Evidence(sites, spread, len(crops))


def _is_float_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim > 1


def _evidence(traced: TracedNetwork, site: Site, value: Any) -> SiteEvidence:
    """Reduce one operator's results (N, C, ...) to ranges."""
    array = value.numpy()
    flat = array.reshape(len(array), -1)
    observer = RangeObserver([site.name])
    for low, high in zip(flat.min(1), flat.max(1), strict=True):
        observer.add([low], [high])
    low, high = observer.ranges()[site.name]
    others = tuple(axis for axis in range(array.ndim) if axis != 1)
    layer = traced.layer(site)
    weight = bias = None
    if layer is not None:
        stored = layer.get_parameter("weight").detach()
        if site.kind == "conv_transpose":
            stored = stored.transpose(0, 1)  # (inputs, outputs, ...) as PyTorch keeps it
        weight = stored.reshape(stored.shape[0], -1).numpy()
        parameters = dict(layer.named_parameters())
        bias = parameters["bias"].detach().numpy() if "bias" in parameters else None
    return SiteEvidence(
        site,
        traced.readers(site.name),
        array.shape[1:],
        low,
        high,
        float(np.abs(flat).max()),
        array.min(others),
        array.max(others),
        weight,
        bias,
        tuple(traced.constants(site)),
    )
