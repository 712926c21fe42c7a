"""What a .mlpackage holds: operators, which of them compute in float, and the scheme found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Function, Operation, Reference
from atpn_exporters.target import GraphFacts

#: Operations that hold or unpack constants: nothing of them is left when the program runs.
STORING = ("const", "constexpr_")
#: Operations that change how values are stored and compute none.
CONVERTING = ("cast", "quantize", "dequantize")
#: Operations that move values.
MOVING = ("transpose", "reshape", "expand_dims", "squeeze", "slice_by_index", "concat")
#: What computes in integers where it reads and writes integers only.
INTEGER_KERNELS = ("conv", "linear", "add", "avg_pool", "max_pool")
#: What Core ML computes together with the layer before it.
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")
#: Parameter that holds the weights of a layer.
WEIGHT = "weight"


def inspect(path: Path) -> GraphFacts:
    """Read the facts of a package; those of its functions added up. ArtifactError if it is none."""
    package = open_package(path)
    functions = tuple(package.functions.values())
    computing = [op for function in functions for op in _computing(function)]
    floats = Counter(op.kind for function in functions for op in _in_float(function))
    return GraphFacts(
        operators=dict(sorted(Counter(op.kind for op in computing).items())),
        float_operators=dict(sorted(floats.items())),
        transposes=sum(op.kind == "transpose" for op in computing),
        partitions=None,
        undelegated={},
        scheme=_scheme(functions, computing),
    )


def _computing(function: Function) -> list[Operation]:
    return [op for op in function.operations if not op.kind.startswith(STORING)]


def integer_operations(function: Function) -> frozenset[str]:
    """Names of the operations that may work on the integers between a dequantise and a quantise.

    Those that only move values do so as well as those that have an integer kernel. Whether they do
    is Core ML's decision, on the hardware that it runs on.
    """
    return _between_casts(function, (*INTEGER_KERNELS, *MOVING))


def _in_float(function: Function) -> list[Operation]:
    """Operators that compute in float; one between a dequantise and a quantise need not."""
    integer = _between_casts(function, INTEGER_KERNELS)
    fused = {
        op.name
        for op in function.operations
        if op.kind in ACTIVATIONS and any(name in integer for name in op.reads)
    }
    moved = (*CONVERTING, *MOVING)
    return [
        op
        for op in _computing(function)
        if op.kind not in moved and op.name not in integer and op.name not in fused
    ]


def _between_casts(function: Function, kinds: tuple[str, ...]) -> frozenset[str]:
    """Names of the operations of these kinds that read dequantised values and are quantised."""
    maker = {value.name: op for op in function.operations for value in op.outputs}
    readers: dict[str, list[Operation]] = {}
    for op in function.operations:
        for name in op.reads:
            readers.setdefault(name, []).append(op)

    def goes_to_integers(op: Operation) -> bool:
        after = readers.get(op.name, [])
        return bool(after) and all(
            reader.kind == "quantize"
            or (reader.kind in ACTIVATIONS and op.kind != reader.kind and goes_to_integers(reader))
            for reader in after
        )

    def comes_from_integers(op: Operation) -> bool:
        values = [maker[name] for name in op.reads if name in maker]
        live = [source for source in values if not source.kind.startswith(STORING)]
        return bool(live) and all(source.kind == "dequantize" for source in live)

    return frozenset(
        op.name
        for op in function.operations
        if op.kind in kinds and comes_from_integers(op) and goes_to_integers(op)
    )


def _scheme(functions: Iterable[Function], computing: list[Operation]) -> str:
    """One line: how weights are stored, most of them first, and what activations are."""
    kinds: Counter[str] = Counter()
    floats: Counter[str] = Counter()
    for function in functions:
        kinds.update(_weight_kinds(function))
        floats.update(
            value.type.dtype
            for op in _computing(function)
            if op.kind not in CONVERTING
            for value in op.outputs
            if value.type.floating
        )
    weights = ", ".join(kind for kind, _ in kinds.most_common()) or "none"
    real = floats.most_common(1)[0][0] if floats else "none"
    stored = Counter(op.outputs[0].type.dtype for op in computing if op.kind == "quantize")
    integers = "".join(f"{kind} and " for kind, _ in stored.most_common())
    return f"weights {weights}; activations {integers}{real}"


def _weight_kinds(function: Function) -> Counter[str]:
    """How the weights of layers are stored ("int8 per channel"), counted by values."""
    maker = {value.name: op for op in function.operations for value in op.outputs}
    kinds: Counter[str] = Counter()
    for op in function.operations:
        for bound in op.inputs.get(WEIGHT, ()):
            if isinstance(bound, Reference) and bound.name in maker:
                source = maker[bound.name]
                count = prod(side or 1 for side in source.outputs[0].type.shape)
                kinds[_stored(source, maker)] += count
    return kinds


def _stored(source: Operation, maker: Mapping[str, Operation]) -> str:
    """How the weight that `source` makes is stored."""
    if source.kind == "constexpr_lut_to_dense":
        table = _constant(source, "lut", maker)
        whole = table.ndim == 1  # iOS 16's form has one table a layer; later ones a table a group
        colours = table.size if whole else table.shape[-2]
        groups = "a layer" if whole or table.size == colours else "a group of channels"
        return f"palette of {colours} {groups}"
    for parameter in ("quantized_data", "data"):
        if parameter in source.inputs:
            scale = _constant(source, "scale", maker)
            spread = "per channel" if scale.size > 1 else "per tensor"
            return f"{_constant(source, parameter, maker).dtype.name} {spread}"
    return source.outputs[0].type.dtype


def _constant(operation: Operation, parameter: str, maker: Mapping[str, Operation]) -> NDArray[Any]:
    """A parameter's tensor, written in place or in a constant of its own."""
    bound = operation.inputs[parameter][0]
    if isinstance(bound, Reference):
        bound = next(v for v in maker[bound.name].inputs["val"] if not isinstance(v, Reference))
    return np.asarray(bound)
