"""A computation in no format's words: values, nodes that read and write them, and a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

#: How the multiply-adds of a layer follow from the shapes; see `count`.
Rule = Literal["conv", "deconv", "linear", "matmul", "product"]


def bits_of(dtype: str) -> int:
    """Bits of one element: 32 of float32, 4 of uint4, 8 of a bool."""
    digits = re.search(r"\d+", dtype)
    return int(digits.group()) if digits else 8


@dataclass(frozen=True)
class Value:
    """A tensor: what a node hands to others, or a constant that the file holds."""

    name: str
    shape: tuple[int, ...] | None  # None where only a run can tell
    dtype: str  # float32, float16, int8, uint8, int16, int32, int4, bool, ...
    constant: bool = False
    #: Bytes of a constant as the file stores it, where its elements don't tell.
    packed_bytes: int | None = None

    @property
    def elements(self) -> int | None:
        """Number of values; None where the shape is unknown."""
        return None if self.shape is None else prod(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """Bytes in memory; None where the shape is unknown."""
        return None if self.elements is None else -(-self.elements * bits_of(self.dtype) // 8)

    @property
    def stored_bytes(self) -> int:
        """Bytes in the file; 0 where nothing tells."""
        return (self.size_bytes or 0) if self.packed_bytes is None else self.packed_bytes


@dataclass(frozen=True)
class Layer:
    """Which input of an operator is what, by position."""

    rule: Rule
    data: int = 0
    weights: int = 1
    bias: int | None = 2


@dataclass(frozen=True)
class Node:
    """One operator; inputs and outputs by the names of values, "" for one that is left out."""

    name: str  # as the format's runtime calls it in a profile
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    label: str = ""  # the module path that the converter left in its name, dots between the parts
    position: int = 0  # in the file's own list of operators
    #: The runtime computes it in integers, and takes the casts around it away.
    integer: bool = False
    fused: tuple[str, ...] = ()  # kinds of activations that it computes as well
    layer: Layer | None = None  # what it is beyond its kind: a layer written as other operators

    @property
    def result(self) -> str:
        """Its first output; "" for an operator that writes none."""
        return self.outputs[0] if self.outputs else ""


@dataclass(frozen=True)
class Graph:
    """What one inference runs, in the order in which it runs."""

    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """What one format's operators mean to a count."""

    layers: Mapping[str, Layer]  # operators with multiply-adds
    #: Operators without any; what is neither here nor among the layers is listed as uncounted.
    free: frozenset[str]
    channel_axis: int  # of what a convolution reads and writes
    #: Operators that give the same bytes another shape: no runtime moves any.
    views: frozenset[str] = frozenset()
    quantizing: frozenset[str] = frozenset()  # float to integer
    dequantizing: frozenset[str] = frozenset()  # integer to float
    #: Operators that the format's runtime computes inside the layer before them.
    activations: frozenset[str] = frozenset()
    #: Positions of the constants that training found, for operators that are no layers.
    trained: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Products, and the sums behind them that make a layer of the two: a convolution over a whole
    #: map may be written so.
    products: Mapping[str, str] = field(default_factory=dict)
    #: A layer of float data and int8 weights quantises its data when it runs.
    hybrid: bool = False

    def layer_of(self, node: Node) -> Layer | None:
        """What of a node multiplies with what; None where it has no multiply-adds."""
        layer = node.layer or self.layers.get(node.kind)
        if layer is None or not node.outputs:
            return None
        given = [position for position, name in enumerate(node.inputs) if name]
        return layer if {layer.data, layer.weights}.issubset(given) else None
