"""A .mlpackage between named values: whole and in parts on the reference evaluator.

The evaluator rounds after each operator where the program says float16. What it finds holds for
the program; how the Neural Engine computes it does not see, not even on a Mac.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE, OUTPUTS
from atpn_deploy.errors import ArtifactError
from atpn_exporters.bisect.dissection import Operator, Part, Storage, Stored
from atpn_exporters.coreml_names import written
from atpn_exporters.mil.evaluator import Evaluator
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Constant, Function, Operation, Package, Reference, Value

#: MIL's operators in the vocabulary of the matching.
KINDS = {
    "conv": "conv",
    "conv_transpose": "deconv",
    "linear": "linear",
    "relu": "relu",
    "sigmoid_hard": "hard_sigmoid",
    "add": "add",
    "mul": "mul",
    "concat": "concat",
    "reduce_mean": "mean",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "maximum": "maximum",
    "clip": "maximum",
    "cast": "cast",
    "quantize": "cast",
    "dequantize": "cast",
}
#: What coremltools adds to a value's name in a program that computes in float16.
HALF = "_cast_fp16"


class CoremlDissection:
    """One function of a .mlpackage; see `atpn_exporters.bisect.dissection.Dissection`."""

    runtime = "reference evaluator, which does not see how the Neural Engine computes"

    def __init__(self, path: Path, signature: str | None, called: Mapping[str, str]) -> None:
        """`called` are the reference's modules; `signature` None takes the package's default."""
        self._path = path
        self._package = open_package(path)
        function = signature if signature in self._package.functions else None
        self._evaluator = Evaluator(self._package, function)
        self._function = self._evaluator.function
        self._constants: dict[str, Constant] = {}
        for step in self._evaluator.constant_steps:
            self._constants.update(step.results)
        self._makers = {
            value.name: operation
            for operation in self._function.operations
            for value in operation.outputs
        }
        self._operations = [
            operation
            for operation in self._function.operations
            if operation.outputs[0].name not in self._constants
        ]
        self._values = {value.name: value for value in self._function.inputs}
        for operation in self._function.operations:
            self._values.update({value.name: value for value in operation.outputs})
        self._zeros: dict[str, int] = {}  # of quantised values
        self._units = self._measured()
        names = {written(module): module for module in called if module}
        self.operators = tuple(self._operator(op, names) for op in self._operations)
        self.image = IMAGE.name
        self.outputs = {s.name: s.name for s in OUTPUTS if s.name in self._function.outputs}
        if [value.name for value in self._function.inputs] != [IMAGE.name]:
            raise ArtifactError(f"{path} is no ATPN: expected the one input {IMAGE.name}")

    def storage(self, tensor: str) -> Storage:
        """How a value is passed on; that of an integer one is told by what quantises it."""
        kind = self._values[tensor].type
        if None in kind.shape:
            raise ArtifactError(f"{self._path}: {tensor} has an open shape")
        shape = tuple(int(side) for side in kind.shape if side is not None)
        scale, zero = self._units[tensor], self._zeros.get(tensor, 0)
        return Storage(np.dtype(kind.dtype), shape, scale, zero, tensor in self._zeros)

    def run(self, image: NDArray[np.uint8]) -> Stored:
        """Every value that depends on the image."""
        planar = image.reshape(IMAGE.shape).transpose(0, 3, 1, 2).astype(np.float32)
        return self._evaluator.run_all({IMAGE.name: np.ascontiguousarray(planar)})

    def part(self, operators: Sequence[int], inputs: Sequence[str], output: str) -> Part:
        """A program of these operations and the constants that they read."""
        chosen = [self._operations[position] for position in operators]
        function = replace(
            self._function,
            name="part",
            inputs=tuple(self._values[name] for name in inputs),
            operations=(*self._constants_of(chosen), *chosen),
            outputs=(output,),
        )
        evaluator = Evaluator(self._alone(function), function.name)

        def execute(feeds: Stored) -> NDArray[Any]:
            return np.asarray(evaluator.run_all(feeds)[output])

        return execute

    def _alone(self, function: Function) -> Package:
        """A package of one function."""
        return replace(
            self._package, functions={function.name: function}, default_function=function.name
        )

    def _constants_of(self, operations: Sequence[Operation]) -> list[Operation]:
        """The operations that make the constants which others read, in the program's order."""
        needed: set[str] = set()
        waiting = list(operations)
        while waiting:
            for name in waiting.pop().reads:
                if name in self._constants and name not in needed:
                    needed.add(name)
                    waiting.append(self._makers[name])
        return [op for op in self._function.operations if op.outputs[0].name in needed]

    def _operator(self, operation: Operation, names: Mapping[str, str]) -> Operator:
        kind = KINDS.get(operation.kind, "")
        weight = self._constant(operation, "weight")
        return Operator(
            kind=kind,
            label=operation.kind,
            modules=_modules(operation.outputs[0], self._function, names),
            inputs=tuple(name for name in operation.reads if name not in self._constants),
            outputs=tuple(value.name for value in operation.outputs),
            biased="bias" in operation.inputs,
            weights=0 if weight is None else int(np.size(weight)),
        )

    def _constant(self, operation: Operation, parameter: str) -> Constant | None:
        """What a parameter is bound to, if that depends on no input."""
        bound = operation.inputs.get(parameter, ())
        if not bound:
            return None
        source = bound[0]
        return self._constants.get(source.name) if isinstance(source, Reference) else source

    def _number(self, operation: Operation, parameter: str) -> float | None:
        """The one number that a parameter is bound to; None for several or for none."""
        constant = self._constant(operation, parameter)
        if constant is None or isinstance(constant, str) or constant.size != 1:
            return None
        return float(constant.reshape(()))

    def _measured(self) -> dict[str, float]:
        """What one unit of every value stands for: a quantised value's step, else mostly 1.

        coremltools divides the scales around an addition by one of them, so that its two summands
        and its sum are counted in steps of a summand. No other operation is let off the unit 1.
        """
        units = dict.fromkeys((value.name for value in self._function.inputs), 1.0)
        for operation in self._operations:
            [before, *_] = [units[name] for name in operation.reads if name in units]
            scale = self._number(operation, "scale")
            unit = before if operation.kind == "add" else 1.0
            if operation.kind == "quantize" and scale is not None:
                unit = before * scale
                zero = self._number(operation, "zero_point")
                self._zeros[operation.outputs[0].name] = int(zero or 0)
            elif operation.kind == "dequantize" and scale is not None:
                unit = before / scale
            units.update(dict.fromkeys((value.name for value in operation.outputs), unit))
        return units


def _modules(value: Value, function: Function, names: Mapping[str, str]) -> frozenset[str]:
    """The module that a value's name begins with; an output is named by the contract instead."""
    name = value.name.removesuffix(HALF)
    if value.name in function.outputs:
        return frozenset()
    while name and name not in names:
        name = name.rpartition("_")[0]
    return frozenset((names[name],)) if name else frozenset()
