"""What each layer of a file does to its values, and what that alone does to the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import Tensors
from atpn_deploy.errors import ArtifactError
from atpn_deploy.parity import Limit, per_sample
from atpn_exporters.bisect.dissection import Dissection, Storage
from atpn_exporters.bisect.layers import Layer, cut
from atpn_exporters.bisect.reference import Network

#: What weighs as much as what: the limits of an int8 file. Damage 1 is all that such a file may
#: lose, whichever output it shows in.
SCALES = (
    Limit("landmarks", "mean", 0.5, "px", "half a pixel of 112"),
    Limit("pose", "mean", 1.5, "degree", "one and a half degrees"),
    Limit("confidence", "max", 0.1, "probability", "a tenth"),
)


#: Rounding is off by 1/sqrt(12) = 0.29 steps, and sound layers of both networks' int8 files come to
#: 0.4 at most. Beyond this there is a fault, however little it costs, or a range that cuts values.
ROUNDING_STEPS = 0.5


@dataclass(frozen=True)
class Error:
    """How far a layer's values are from the reference's."""

    largest: float  # absolute, in the layer's own unit
    relative: float  # root mean square, as a share of the values' own
    finite: bool  # False where a value is NaN or infinite


@dataclass(frozen=True)
class Damage:
    """What a change of one layer does at the outputs; None for an output that is not computed."""

    landmarks_px: float
    pose_degrees: float | None
    confidence: float | None

    @property
    def score(self) -> float:
        """The largest share of SCALES, infinite for NaN: what layers are sorted by."""
        shares = [
            value / limit.value
            for value, limit in zip(
                (self.landmarks_px, self.pose_degrees, self.confidence), SCALES, strict=True
            )
            if value is not None
        ]
        return max(share if np.isfinite(share) else np.inf for share in shares)


@dataclass(frozen=True)
class Finding:
    """One layer: on its own, and in the file's own run."""

    index: int  # in the order in which the network computes
    layer: Layer
    isolated: Error
    damage: Damage
    cumulative: Error | None  # None where the file as a whole does not run
    problem: str = ""  # why a figure is infinite, where the numbers do not tell
    #: The isolated error in steps of the tensor, root mean square; None for a float tensor.
    steps: float | None = None

    @property
    def beyond_rounding(self) -> bool:
        """Whether a quantised layer is off by more than rounding its result explains."""
        return self.steps is not None and not self.steps <= ROUNDING_STEPS

    @property
    def rank(self) -> tuple[float, float]:
        """Worst first: by damage, then by the error itself."""
        error = self.isolated.relative
        return (-self.damage.score, -error if np.isfinite(error) else -np.inf)


@dataclass(frozen=True)
class Examination:
    """All layers of a file, worst first, and what the whole file is off by on the same crops."""

    findings: tuple[Finding, ...]
    whole: Damage | None  # None where the file does not run
    problem: str = ""  # why it does not


#: How many times as large as the drift behind it an error must be to count as made good there.
COMPENSATING = 10
#: Errors below this share of a layer's values are magnified before they are sent on.
FAINT = 1e-3
RUINED = Error(np.inf, np.inf, finite=False)


def examine(
    network: Network,
    file: Dissection,
    images: NDArray[np.uint8],
    on_layer: Callable[[int, int], None],
) -> Examination:
    """Hold every layer of a file against the reference on crops (N, 112, 112, 3).

    `on_layer` is called after each layer with (layers done, layers in all). Raises ArtifactError
    where no layer can be told.
    """
    passed_over: frozenset[str] = frozenset()
    while True:
        layers = cut(network.nodes, network.output_nodes, file, passed_over)
        if not layers:
            raise ArtifactError(
                "no operator of the file can be traced to a PyTorch module; expected a file of "
                "atpn-export and the checkpoint that it was made from"
            )
        run, whole, problem = _whole_run(network, file, layers, images)
        findings = []
        for index, layer in enumerate(layers):
            findings.append(_examine_layer(network, file, index, layer, run))
            on_layer(index + 1, len(layers))
        shared = _shared_otherwise(findings)
        if not shared:
            break
        passed_over |= shared
    return Examination(tuple(sorted(findings, key=lambda f: f.rank)), whole, problem)


def _shared_otherwise(findings: Sequence[Finding]) -> frozenset[str]:
    """Nodes whose values the file shares out differently with the layers behind them.

    A converter may add a convolution's bias to the constant map behind it instead: each of the two
    is then off by as much as the other makes good. A layer that is wrong on the reference's inputs
    and right on the file's own is the second of such a pair.
    """
    arrived = {f.layer.node: f.cumulative.relative for f in findings if f.cumulative is not None}
    found = set()
    for finding in findings:
        own = arrived.get(finding.layer.node, np.inf)
        if finding.isolated.relative > max(FAINT, COMPENSATING * own):
            sources = finding.layer.inputs.values()
            found |= {node for node in sources if arrived.get(node, 0) > COMPENSATING * own}
    return frozenset(found)


def _whole_run(
    network: Network, file: Dissection, layers: tuple[Layer, ...], images: NDArray[np.uint8]
) -> tuple[dict[str, NDArray[np.float64]], Damage | None, str]:
    """The tensors at the layers' ends in the file's own run, by name, and what comes out of it."""
    wanted = {layer.output for layer in layers} | set(file.outputs.values())
    try:
        runs = [file.run(image[None]) for image in images]
    except ArtifactError as error:
        return {}, None, str(error)
    values = {
        name: np.stack([file.storage(name).read(run[name]) for run in runs]) for name in wanted
    }
    outputs = {
        name: _shaped(values[tensor], network.outputs[name].shape)
        for name, tensor in file.outputs.items()
    }
    return values, damage(outputs, network.outputs), ""


def _examine_layer(
    network: Network,
    file: Dissection,
    index: int,
    layer: Layer,
    run: Mapping[str, NDArray[np.float64]],
) -> Finding:
    """One layer in both modes."""
    reference = network.value(layer.node)
    cumulative = None
    try:
        if layer.output in run:
            drifted = _shaped(run[layer.output], reference.shape)
            cumulative = error_of(drifted, reference)
        made, expected = _alone(network, file, layer)
    except ArtifactError as error:
        return Finding(index, layer, RUINED, _ruined(file), cumulative, str(error))
    isolated = error_of(made, expected)
    damaged = _alone_damage(network, layer, made - expected, isolated)
    storage = file.storage(layer.output)
    distance = float(np.sqrt(np.mean((made - expected) ** 2)))
    steps = distance / storage.scale if storage.quantised else None
    return Finding(index, layer, isolated, damaged, cumulative, steps=steps)


def _alone_damage(
    network: Network, layer: Layer, change: NDArray[np.float64], error: Error
) -> Damage:
    """What the outputs make of the layer's error, everything else being the reference.

    An error below FAINT is magnified to it and the answer divided: outputs answer in proportion to
    so small a change, and single precision would drown it.
    """
    if not error.largest:
        return damage(network.outputs, network.outputs)
    gain = max(1.0, FAINT / error.relative)
    outputs, base = network.response(layer.node, change * gain)
    found = damage(outputs, base)
    return Damage(
        found.landmarks_px / gain,
        None if found.pose_degrees is None else found.pose_degrees / gain,
        None if found.confidence is None else found.confidence / gain,
    )


def _alone(
    network: Network, file: Dissection, layer: Layer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the layer makes of the reference's inputs, and what the reference makes of the same.

    The reference is given the inputs as the file can store them: what rounding them costs is the
    matter of the layers that they come from.
    """
    part = file.part(layer.operators, tuple(layer.inputs), layer.output)
    given: dict[str, NDArray[np.float64]] = {}
    stored: dict[str, list[NDArray[Any]]] = {}
    for tensor, node in layer.inputs.items():
        storage = file.storage(tensor)
        stored[tensor] = [_stored(crop, storage) for crop in network.value(node)]
        read = np.stack([storage.read(crop) for crop in stored[tensor]])
        given[node] = _shaped(read, network.value(node).shape)
    storage = file.storage(layer.output)
    count = len(network.value(layer.node))
    made = np.stack(
        [
            storage.read(part({tensor: crops[i] for tensor, crops in stored.items()}))
            for i in range(count)
        ]
    )
    expected = network.value_from(layer.node, given)
    return _shaped(made, expected.shape), expected


def _stored(crop: NDArray[np.float64], storage: Storage) -> NDArray[Any]:
    """A reference value of one crop, without its batch axis, as a tensor of the file."""
    if crop.size != np.prod(storage.shape):
        raise ArtifactError(f"a tensor has shape {storage.shape}; the reference has {crop.shape}")
    return storage.write(_laid_out(crop[None], storage.shape))


def _shaped(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Tensors of the file, (N, 1, ...), in the reference's shape (N, ...)."""
    if values.size != np.prod(shape):
        raise ArtifactError(
            f"a tensor has shape {values.shape[1:]}; the reference has {(1, *shape[1:])}"
        )
    return np.concatenate([_laid_out(value, (1, *shape[1:])) for value in values])


def _laid_out(value: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """One crop's value in another layout: channels first or last, else merely in another shape."""
    if value.shape != shape and value.ndim == len(shape) == 4:
        for axes in ((0, 2, 3, 1), (0, 3, 1, 2)):
            if tuple(value.shape[axis] for axis in axes) == shape:
                return value.transpose(axes)
    return value.reshape(shape)


def error_of(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> Error:
    """Both modes' measure of distance."""
    difference = actual - expected
    if not np.isfinite(difference).all():
        return RUINED
    size = float(np.sqrt(np.mean(expected**2)))
    distance = float(np.sqrt(np.mean(difference**2)))
    relative = distance / size if size else (np.inf if distance else 0.0)
    return Error(float(np.abs(difference).max()), relative, finite=True)


def damage(actual: Tensors, expected: Tensors) -> Damage:
    """What changed outputs are off by, in the task's units, over all crops."""
    found: dict[str, float] = {}
    for limit in SCALES:
        if limit.output in actual:
            with np.errstate(invalid="ignore"):  # infinity less infinity: NaN, as it should be
                errors = per_sample(actual[limit.output], expected, limit)
            found[limit.output] = float(errors.max() if limit.statistic == "max" else errors.mean())
    return Damage(found["landmarks"], found.get("pose"), found.get("confidence"))


def _ruined(file: Dissection) -> Damage:
    """A layer that does not run, or not in its shape."""
    full = len(file.outputs) > 1
    return Damage(np.inf, np.inf if full else None, np.inf if full else None)
