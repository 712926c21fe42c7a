"""What one operator of a graph costs: the record that all formats meet in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from atpn_benchmarks.results import Cost

#: In what a layer multiplies. int16x8: activations of 16 bits, weights of 8.
Arithmetic = Literal["float32", "float16", "int8", "int16x8", ""]


@dataclass(frozen=True)
class CountedTensor:
    """A tensor that one operator hands to another."""

    name: str
    size_bytes: int | None  # None where only a run can tell


@dataclass(frozen=True)
class CountedConstant:
    """Values that the file holds for an operator."""

    name: str  # operators that name the same share it
    elements: int
    stored_bytes: int  # in the file
    read_bytes: int  # as the operator reads it: what is unpacked once, when loading, counts full
    trained: bool  # weight or bias of a layer, a slope, a norm; not a constant map or a shape


@dataclass(frozen=True)
class CountedOperator:
    """One operator that runs in every inference."""

    name: str  # as the format's runtime calls it in a profile
    position: int  # in the file's own list of operators
    kind: str  # in the format's words: "Conv", "CONV_2D"
    module: str  # PyTorch module that it belongs to; "" for the network as a whole
    arithmetic: Arithmetic  # of its multiply-adds; "" where it has none
    macs: int | None  # one multiply-add is one; None where it is not known how many
    inputs: tuple[CountedTensor, ...]
    outputs: tuple[CountedTensor, ...]
    constants: tuple[CountedConstant, ...] = ()
    fused: tuple[str, ...] = ()  # kinds of activations that it computes as well
    view: bool = False  # gives the same bytes another shape and moves none

    @property
    def parameters(self) -> int:
        """Values that training found."""
        return sum(constant.elements for constant in self.constants if constant.trained)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all its constants in the file."""
        return sum(constant.stored_bytes for constant in self.constants)

    @property
    def read_bytes(self) -> int:
        """Read in one inference, constants included."""
        if self.view:
            return 0
        read = sum(tensor.size_bytes or 0 for tensor in self.inputs)
        return read + sum(constant.read_bytes for constant in self.constants)

    @property
    def written_bytes(self) -> int:
        """Written in one inference."""
        return 0 if self.view else sum(tensor.size_bytes or 0 for tensor in self.outputs)

    @property
    def moved_bytes(self) -> int:
        """Read and written."""
        return self.read_bytes + self.written_bytes

    @property
    def counted(self) -> bool:
        """Whether its multiply-adds and its bytes are known."""
        tensors = (*self.inputs, *self.outputs)
        return self.macs is not None and all(t.size_bytes is not None for t in tensors)


@dataclass(frozen=True)
class CountedGraph:
    """What one inference of one signature runs."""

    operators: tuple[CountedOperator, ...]
    inputs: tuple[CountedTensor, ...]
    outputs: tuple[str, ...]  # names of tensors


def cost(graph: CountedGraph) -> Cost:
    """The sums over a graph; constants that operators share count once in the file's bytes."""
    from atpn_benchmarks.counting.liveness import peak_bytes

    operators = graph.operators
    constants = {c.name: c for operator in operators for c in operator.constants}
    return Cost(
        parameters=sum(c.elements for c in constants.values() if c.trained),
        macs=sum(operator.macs or 0 for operator in operators),
        weight_bytes=sum(c.stored_bytes for c in constants.values()),
        activation_bytes=peak_bytes(graph),
        moved_bytes=sum(operator.moved_bytes for operator in operators),
        uncounted=uncounted(operators),
        int8_macs=sum(o.macs or 0 for o in operators if o.arithmetic == "int8"),
    )


def uncounted(operators: Iterable[CountedOperator]) -> dict[str, int]:
    """Operator type to the number of those whose multiply-adds or bytes are not known."""
    return dict(sorted(Counter(o.kind for o in operators if not o.counted).items()))
