"""An ML program as data: functions of operations that read and write named values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

#: What a file stores: a tensor (rank 0 for a scalar), or text such as a padding's kind.
Constant = NDArray[Any] | str


@dataclass(frozen=True)
class ValueType:
    """Element type and shape of a value."""

    dtype: str  # MIL's own word in lower case: float16, float32, int32, uint8, uint4, bool, ...
    shape: tuple[int | None, ...]  # None for a side that the program leaves open

    @property
    def floating(self) -> bool:
        """Whether its elements are real numbers."""
        return self.dtype.startswith(("float", "bfloat"))


@dataclass(frozen=True)
class Value:
    """A named value: an input, or what an operation writes."""

    name: str
    type: ValueType


@dataclass(frozen=True)
class Reference:
    """The value of this name: an input of the function, or what an earlier operation wrote."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One operation of a function."""

    kind: str  # conv, mul, constexpr_lut_to_dense, ...
    name: str  # the name of its first output: what error messages and reports say
    #: Parameter to what it is bound to: values, or constants written in place.
    #: More than one where the parameter is a list, such as the `values` of concat.
    inputs: Mapping[str, tuple[Reference | Constant, ...]]
    outputs: tuple[Value, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that it reads."""
        sources = (source for bound in self.inputs.values() for source in bound)
        return tuple(source.name for source in sources if isinstance(source, Reference))


@dataclass(frozen=True)
class Feature:
    """An input or output as an app sees it, which is not always as the program computes it."""

    name: str
    kind: str  # "image" or "multiarray", or another of Core ML's words
    shape: tuple[int, ...]  # of an image: (height, width)
    dtype: str  # of an image its colours: "rgb", "bgr" or "grayscale"


@dataclass(frozen=True)
class Function:
    """One entry point of a program; operations stand in the order in which they run."""

    name: str
    opset: str  # CoreML6 is iOS 16, CoreML7 is iOS 17, CoreML8 is iOS 18
    inputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]
    input_features: tuple[Feature, ...]
    output_features: tuple[Feature, ...]


@dataclass(frozen=True)
class Package:
    """What a .mlpackage holds."""

    path: Path
    specification_version: int
    functions: Mapping[str, Function]
    default_function: str
    metadata: Mapping[str, str]  # what the exporter wrote for whoever reads the file
