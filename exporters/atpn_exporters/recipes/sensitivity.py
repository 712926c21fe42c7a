"""Which modules int8 hurts most: each alone quantised in PyTorch, the rest left as it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.parity import Limit, compare
from atpn_exporters.observer import RangeObserver
from atpn_exporters.target import ExportJob, PlannedOperator, Target
from atpn_exporters.tracing import MOVING, Site, TracedNetwork, is_within

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Modules that are left in float as a whole; what lies in none of them and has weights is one
#: by itself.
BLOCKS = (
    "InvertedResidual",
    "Multiview",
    "FoldedConv",
    "FoldedCoordConv",
    "FoldedHead",
    "LandmarkHeatmap",
)


@dataclass(frozen=True)
class Damage:
    """What quantising one module alone does to the outputs."""

    module: str
    #: The largest of its errors as a share of the target's limit on it.
    share: float
    errors: Mapping[str, float]  # by limit: "landmarks, mean px" and so on
    shares: Mapping[str, float]  # the same as shares of the limits
    multiply_adds: int  # what leaving it in float costs in speed


def blocks_of(network: nn.Module) -> list[str]:
    """Paths of the modules that a recipe chooses from, in the network's order."""
    found: list[str] = []
    for path, module in network.named_modules():
        inside = any(is_within(path, block) for block in found)
        weighted = "weight" in dict(module.named_parameters(recurse=False))
        if path and not inside and (type(module).__name__ in BLOCKS or weighted):
            found.append(path)
    return found


@dataclass(frozen=True)
class _Scheme:
    """What the target does to each operator of the network: where and between which values."""

    ranges: Mapping[str, tuple[float, float]]  # by site, of what is stored as integers
    integer: frozenset[str]  # sites that compute in integers


class Simulation:
    """A network on crops (N, 112, 112, 3), its modules quantised one at a time."""

    def __init__(
        self,
        network: nn.Module,
        crops: NDArray[np.uint8],
        plan: Sequence[PlannedOperator],
        ranges: Mapping[str, tuple[float, float]],
    ) -> None:
        self._network = network
        self._traced = TracedNetwork(network)
        self._values = self._traced.run(crops)
        self._scheme = _scheme(self._traced, self._values, plan, ranges)
        self.expected = self._read(self._values)

    def quantised(self, module: str) -> dict[str, NDArray[np.float32]]:
        """The outputs with one module's weights and activations rounded to 8 bits."""
        after: dict[str, Callable[[Tensor], Tensor]] = {}
        layers: dict[str, nn.Module] = {}
        for name, site in self._traced.sites.items():
            if not is_within(site.module, module):
                continue
            if name in self._scheme.ranges:
                after[name] = partial(rounded, limits=self._scheme.ranges[name])
            layer = self._traced.layer(site)
            if layer is not None and name in self._scheme.integer:
                layers[name] = with_rounded_weights(layer, site.kind)
        if not after and not layers:
            return self.expected
        return self._read(self._traced.rerun(self._values, after, layers))

    def _read(self, values: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
        return {name: v.numpy() for name, v in self._traced.outputs(values).items()}

    def multiply_adds(self, module: str) -> int:
        """Of one module on one crop."""
        total = 0
        for name, site in self._traced.sites.items():
            layer = self._traced.layer(site) if is_within(site.module, module) else None
            if layer is not None:
                cells = self._values[site.inputs[0] if site.kind == "conv_transpose" else name]
                per_cell = layer.get_parameter("weight").numel()
                total += per_cell * int(np.prod(cells.shape[2:]))
        return total


def _scheme(
    traced: TracedNetwork,
    values: Mapping[str, Tensor],
    plan: Sequence[PlannedOperator],
    calibrated: Mapping[str, tuple[float, float]],
) -> _Scheme:
    """The target's plan, told of its converted graph, carried over to the network's operators."""
    known = _matched(traced, plan)
    in_float: set[str] = set()
    for name, site in traced.sites.items():  # in the order of computation
        if site.kind in MOVING:
            left = in_float.issuperset(site.inputs)
        elif name in known:
            left = known[name].in_float
        else:  # fused into another in the converted graph, or not to be told from its neighbours
            ops = [operator for operator in plan if operator.module == site.module]
            left = bool(site.inputs) and in_float.issuperset(site.inputs)
            left |= bool(ops) and all(operator.in_float for operator in ops)
        if left:
            in_float.add(name)
    integer = frozenset(traced.sites) - in_float
    ranges = {}
    for name, site in traced.sites.items():
        if site.kind not in MOVING and _is_stored(site, traced.readers(name), integer):
            tensor = known[name].tensor if name in known else ""
            ranges[name] = calibrated.get(tensor) or _observed(values[name])
    return _Scheme(ranges, integer)


def _matched(traced: TracedNetwork, plan: Sequence[PlannedOperator]) -> dict[str, PlannedOperator]:
    """The planned operator of each of the network's, where their module tells which it is."""
    planned: dict[str, list[PlannedOperator]] = {}
    for operator in plan:
        planned.setdefault(operator.module, []).append(operator)
    by_module: dict[str, list[str]] = {}
    for name, site in traced.sites.items():
        if site.kind not in MOVING:
            by_module.setdefault(site.module, []).append(name)
    found = {}
    for module, names in by_module.items():
        operators = planned.get(module, [])
        if len(names) == 1 and operators:
            # A layer may be several operators (a padding before a convolution): its last counts.
            found[names[0]] = operators[-1]
        elif len(names) == len(operators):
            found.update(zip(names, operators, strict=True))
    return found


def _is_stored(site: Site, readers: Sequence[Site], integer: frozenset[str]) -> bool:
    """Whether a result exists as integers: written or read by an operator that computes in them."""
    if site.kind == "image" or any(reader.kind == "relu" for reader in readers):
        return False  # bytes are exact; a convolution and its ReLU are one operator
    return site.name in integer or any(reader.name in integer for reader in readers)


def _observed(value: Tensor) -> tuple[float, float]:
    """The range of one result over the crops, where the calibration has no name for it."""
    flat = value.reshape(value.shape[0], -1).numpy()
    observer = RangeObserver(["range"])
    for row in flat:
        observer.add([row.min()], [row.max()])
    return observer.ranges()["range"]


def rounded(value: Tensor, limits: tuple[float, float]) -> Tensor:
    """Values rounded to the 256 steps between the limits, zero among them, and clipped."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if not high > low:
        return value
    step = (high - low) / 255
    zero = round(-low / step)
    stored = ((value / step).round() + zero).clamp(0, 255)
    restored: Tensor = (stored - zero) * step
    return restored


def with_rounded_weights(layer: nn.Module, kind: str) -> nn.Module:
    """A copy of a layer, its weights rounded to 255 steps, symmetric and by output channel."""
    from torch import nn

    weight = layer.get_parameter("weight").detach()
    channel = 1 if kind == "conv_transpose" else 0
    others = tuple(axis for axis in range(weight.ndim) if axis != channel)
    step = weight.abs().amax(others, keepdim=True).clamp_min(1e-30) / 127
    copied = copy.deepcopy(layer)
    copied.weight = nn.Parameter((weight / step).round() * step, requires_grad=False)
    return copied


def rank(
    simulation: Simulation,
    modules: Iterable[str],
    limits: Sequence[Limit],
    faces: NDArray[np.bool_],
) -> list[Damage]:
    """The modules by what quantising each alone does, the most harmful first."""
    found = []
    for module in modules:
        rows = compare(simulation.quantised(module), simulation.expected, limits, faces)
        named = {f"{row.output}, {row.statistic} {row.unit}": row for row in rows}
        errors = {name: row.error for name, row in named.items()}
        shares = {name: row.error / row.limit for name, row in named.items()}
        cost = simulation.multiply_adds(module)
        found.append(Damage(module, max(shares.values()), errors, shares, cost))
    return sorted(found, key=lambda damage: -damage.share)


def write_ranking(job: ExportJob, target: Target, crops: Path, output: Path) -> None:
    """Rank the modules of a job for a target that takes recipes, as JSON; runs in the worker.

    `crops` is an .npz with `images` (N, 112, 112, 3) and `faces` (N,).
    """
    from atpn_deploy.folding import FoldedATPN

    if target.plan is None:
        raise ValueError(f"{target.name} takes no recipe")
    with np.load(crops, allow_pickle=False) as archive:
        images, faces = archive["images"], archive["faces"]
    network = FoldedATPN(job.model, job.signature)
    simulation = Simulation(network, images, target.plan(job), job.ranges[job.signature])
    ranking = rank(simulation, blocks_of(network), target.limits, faces)
    modules = [name for name, _ in network.named_modules() if name]
    facts = {"ranking": [asdict(damage) for damage in ranking], "modules": modules}
    output.write_text(json.dumps(facts))


def read_ranking(path: Path) -> list[Damage]:
    """What `write_ranking` wrote."""
    return [Damage(**values) for values in json.loads(path.read_text())["ranking"]]
