"""Run an ML program without Core ML: operator by operator, in NumPy, from what the file holds.

Every operator computes in float32 and its result is rounded afterwards: sums inside a convolution
or a mean are not rounded on the way, as they may be on a Neural Engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import Tensors
from atpn_deploy.errors import ArtifactError, ConfigError, UnsupportedError
from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.operators import OPERATORS
from atpn_exporters.mil.program import (
    Constant,
    Function,
    Operation,
    Package,
    Reference,
    Value,
    ValueType,
)

#: How results are rounded. `declared`: to float16 where the program says float16, as Core ML may
#: compute. `fp32`: never, which shows what the stored weights alone cost. `fp16`: everywhere, as
#: if every value of the program were float16.
Precision = Literal["declared", "fp32", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

#: A constant in the program, which the evaluator reads once, when it is built.
CONST = "const"


@dataclass(frozen=True)
class Step:
    """An operation that has run; results by the name of the value, floats as float32 arrays."""

    operation: Operation
    exact: Mapping[str, Constant]  # as computed
    results: Mapping[str, Constant]  # as passed on: rounded to the precision


class Evaluator:
    """One function of a package, ready to run.

    Raises ConfigError for a function that the package does not have, UnsupportedError for an
    operator that this evaluator does not know, ArtifactError for one that cannot be computed.
    """

    def __init__(
        self, package: Package, function: str | None = None, precision: Precision = "declared"
    ) -> None:
        self.function = _chosen(package, function)
        self.precision = precision
        self._refuse_unknown(package)
        self._constants: dict[str, Constant] = {}
        #: What was computed once because it depends on no input: constants and their decompression.
        self.constant_steps: list[Step] = []
        self._operations: list[Operation] = []
        for operation in self.function.operations:
            if all(name in self._constants for name in operation.reads):
                step = self._step(operation, self._constants)
                self._constants.update(step.results)
                self.constant_steps.append(step)
            else:
                self._operations.append(operation)

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """The function's outputs by name, float32, for inputs by name in the program's layout."""
        values = self.run_all(feeds)
        return {name: np.asarray(values[name], np.float32) for name in self.function.outputs}

    def run_all(self, feeds: Tensors) -> dict[str, NDArray[Any]]:
        """Every value that depends on an input, by its name in the program; floats as float32."""
        values: dict[str, NDArray[Any]] = {}
        for step in self.steps(feeds):
            values.update({name: np.asarray(value) for name, value in step.results.items()})
        # An output that depends on no input is among the constants.
        for name in set(self.function.outputs) - set(values):
            values[name] = np.asarray(self._constants.get(name, feeds.get(name)))
        return values

    def steps(self, feeds: Tensors, given: Tensors | None = None) -> Iterator[Step]:
        """Each operation that depends on an input, after it has run, in the program's order.

        Values named in `given` are passed on in place of what was computed for them: with the
        reference's value under every name, each operation shows its own error alone.
        """
        replaced = dict(given or {})
        values: dict[str, Constant] = {**self._constants, **self._inputs(feeds), **replaced}
        for operation in self._operations:
            step = self._step(operation, values)
            yield step
            values.update(
                {name: value for name, value in step.results.items() if name not in replaced}
            )

    def _refuse_unknown(self, package: Package) -> None:
        kinds = {operation.kind for operation in self.function.operations}
        if unknown := sorted(kinds - set(OPERATORS) - {CONST}):
            raise UnsupportedError(
                f"{package.path}: function {self.function.name!r} contains "
                f"{', '.join(unknown)}, which the reference evaluator does not know; run the file "
                "on a Mac, or add the operator to atpn_exporters/mil"
            )

    def _inputs(self, feeds: Tensors) -> dict[str, NDArray[Any]]:
        """The feeds, checked against the function's inputs and rounded as these are."""
        expected = {value.name: value for value in self.function.inputs}
        if set(feeds) != set(expected):
            raise ValueError(f"got the inputs {sorted(feeds)}; expected {sorted(expected)}")
        inputs = {}
        for name, value in expected.items():
            array = np.asarray(feeds[name])
            if not _fits(array.shape, value.type):
                raise ValueError(f"{name} has shape {array.shape}; expected {value.type.shape}")
            inputs[name] = self._rounded(_in_float32(array), value.type)
        return inputs

    def _step(self, operation: Operation, values: Mapping[str, Constant]) -> Step:
        """Run one operation and check its results against what the program declares."""
        arguments = {
            parameter: tuple(self._source(source, values) for source in bound)
            for parameter, bound in operation.inputs.items()
        }
        computed = self._computed(operation, arguments)
        results: dict[str, Constant] = {}
        for value in operation.outputs:
            result = computed[value.name]
            if isinstance(result, str):
                results[value.name] = result
                continue
            self._check(operation, value, result)
            results[value.name] = self._rounded(result, value.type)
        return Step(operation, computed, results)

    def _source(self, source: Reference | Constant, values: Mapping[str, Constant]) -> Constant:
        if isinstance(source, Reference):
            return values[source.name]
        return source if isinstance(source, str) else _in_float32(source)

    def _computed(
        self, operation: Operation, arguments: Mapping[str, tuple[Constant, ...]]
    ) -> dict[str, Constant]:
        """The results by name, not rounded."""
        if operation.kind == CONST:
            if len(arguments.get("val", ())) != 1:
                raise ArtifactError(f"{self._called(operation)} holds no value")
            return {operation.name: arguments["val"][0]}
        try:
            # What overflows or is undefined shows in the values; a warning would say it twice.
            with np.errstate(all="ignore"):
                results = OPERATORS[operation.kind](Arguments(arguments))
        except (ArtifactError, ArithmeticError, IndexError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{self._called(operation)} cannot be computed: {str(error).splitlines()[0]}"
            ) from error
        several = results if isinstance(results, tuple) else (results,)
        if len(several) != len(operation.outputs):
            raise ArtifactError(
                f"{self._called(operation)} gives {len(several)} results; the program names "
                f"{len(operation.outputs)}"
            )
        return {
            value.name: np.asarray(result)
            for value, result in zip(operation.outputs, several, strict=True)
        }

    def _check(self, operation: Operation, value: Value, result: NDArray[Any]) -> None:
        """A result of another shape or kind means that the program was misread: say so."""
        floating = np.issubdtype(result.dtype, np.floating)
        if not _fits(result.shape, value.type) or floating != value.type.floating:
            raise ArtifactError(
                f"{self._called(operation)} gives {result.dtype} {result.shape}; the program "
                f"declares {value.type.dtype} {value.type.shape}"
            )

    def _called(self, operation: Operation) -> str:
        return f"{operation.kind} {operation.name!r} of function {self.function.name!r}"

    def rounding(self, kind: ValueType) -> type[np.float16] | type[np.float32]:
        """The type that a float of `kind` is rounded to in this precision."""
        declared = self.precision == "declared" and kind.dtype == "float16"
        return np.float16 if declared or self.precision == "fp16" else np.float32

    def _rounded(self, array: NDArray[Any], kind: ValueType) -> NDArray[Any]:
        """The array as values of `kind` are passed on."""
        if not kind.floating:
            return array
        with np.errstate(over="ignore", under="ignore"):
            return array.astype(self.rounding(kind), copy=False).astype(np.float32, copy=False)


def precision_named(name: str) -> Precision:
    """The precision of this name, or ConfigError with the choices."""
    for precision in PRECISIONS:
        if precision == name:
            return precision
    raise ConfigError(f"no precision {name!r}; choose from {', '.join(PRECISIONS)}")


def _chosen(package: Package, function: str | None) -> Function:
    name = function or package.default_function
    if name not in package.functions:
        raise ConfigError(
            f"{package.path} has no function {name!r}; it has {', '.join(package.functions)}"
        )
    return package.functions[name]


def _in_float32(array: NDArray[Any]) -> NDArray[Any]:
    """Floats as float32, in which everything is computed; the rest as it is."""
    floating = np.issubdtype(array.dtype, np.floating)
    return array.astype(np.float32, copy=False) if floating else array


def _fits(shape: tuple[int, ...], kind: ValueType) -> bool:
    """Whether a shape is the declared one, where that is closed."""
    return len(shape) == len(kind.shape) and all(
        declared in (None, side) for side, declared in zip(shape, kind.shape, strict=True)
    )
