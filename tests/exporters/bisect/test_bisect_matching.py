"""Which tensor is which value, and where one layer ends: on graphs small enough to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_exporters.bisect.dissection import Operator, Part, Storage, Stored
from atpn_exporters.bisect.layers import cut
from atpn_exporters.bisect.matching import match
from atpn_exporters.bisect.reference import Node


@dataclass
class FakeFile:
    """A file of named tensors, all of one element; `steps` are those stored as int8."""

    operators: tuple[Operator, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)
    image: str = "image"
    runtime: str = "none"

    def storage(self, tensor: str) -> Storage:
        dtype = np.dtype(np.int8 if tensor in self.steps else np.float32)
        return Storage(dtype, (self.sizes.get(tensor, 1),), quantised=tensor in self.steps)

    def run(self, image: NDArray[np.uint8]) -> Stored:
        raise NotImplementedError

    def part(self, operators: Sequence[int], inputs: Sequence[str], output: str) -> Part:
        raise NotImplementedError


def node(name: str, kind: str, *inputs: str, module: str | None = None, weights: int = 0) -> Node:
    return Node(name, name if module is None else module, kind, inputs, 1, weights, weights > 0)


def op(
    kind: str,
    inputs: str,
    output: str,
    *,
    module: str = "",
    fused: str = "",
    biased: bool = True,
    weights: int = 0,
) -> Operator:
    modules = frozenset((module,) if module else ())
    return Operator(kind, kind, modules, tuple(inputs.split()), (output,), fused, biased, weights)


IMAGE = Node("image", "", "", ())
#: image -> conv -> act -> (conv + act) = sum
BLOCK = (
    IMAGE,
    node("conv", "conv", "image", weights=9),
    node("act", "relu", "conv"),
    node("sum", "add", "conv", "act", module="block"),
)


def test_values_are_found_by_kind_and_inputs_without_any_name() -> None:
    file = FakeFile(
        (
            op("", "image", "padded"),
            op("conv", "padded", "c", weights=9),
            op("relu", "c", "r"),
            op("add", "c r", "s"),
        )
    )
    assert match(BLOCK, file) == {"conv": "c", "act": "r", "sum": "s"}


def test_of_two_equal_layers_the_weights_and_the_names_decide() -> None:
    nodes = (
        IMAGE,
        node("a", "conv", "image", weights=9),
        node("b", "conv", "image", weights=8),
        node("c", "conv", "image", weights=9),
    )
    file = FakeFile(
        (
            op("conv", "image", "x", module="c", weights=9),
            op("conv", "image", "y", module="a", weights=9),
            op("conv", "image", "z", weights=8),
        )
    )
    assert match(nodes, file) == {"a": "y", "b": "z", "c": "x"}


def test_fused_activation_is_the_activations_value_and_the_layer_bears_the_weights_name() -> None:
    nodes = BLOCK[:3]
    file = FakeFile((op("conv", "image", "r", fused="relu", weights=9),))
    assert match(nodes, file) == {"act": "r"}
    [layer] = cut(nodes, {}, file)
    assert (layer.name, layer.merged, layer.output) == ("conv", ("conv", "act"), "r")


def test_bias_in_an_operator_behind_is_part_of_the_layer() -> None:
    nodes = (IMAGE, node("linear", "linear", "image", weights=9), node("tanh", "tanh", "linear"))
    file = FakeFile(
        (
            op("linear", "image", "product", biased=False, weights=9),
            op("add", "product", "l"),
            op("tanh", "l", "t"),
        )
    )
    [layer] = cut(nodes, {}, file)
    assert (layer.name, layer.operators) == ("linear", (0, 1, 2))


def test_constant_in_the_bias_is_counted_with_the_linear_layer() -> None:
    nodes = (
        IMAGE,
        node("linear", "linear", "image", weights=9),
        node("shape", "add", "linear", module="branch"),
    )
    file = FakeFile((op("linear", "image", "l", weights=9),))
    assert match(nodes, file) == {"shape": "l"}
    assert cut(nodes, {}, file)[0].name == "linear"


def test_wrong_wire_is_still_the_layer_of_its_name() -> None:
    file = FakeFile(
        (
            op("conv", "image", "c", module="conv", weights=9),
            op("relu", "image", "r", module="act"),
            op("add", "c r", "s", module="block"),
        )
    )
    assert match(BLOCK, file) == {"conv": "c", "act": "r", "sum": "s"}
    layers = {layer.name: dict(layer.inputs) for layer in cut(BLOCK, {}, file)}
    assert layers["act"] == {"image": "image"}


def test_lost_activation_is_the_layer_of_its_name() -> None:
    file = FakeFile(
        (op("conv", "image", "c", module="conv", weights=9), op("", "c", "r", module="act"))
    )
    assert match(BLOCK[:3], file) == {"conv": "c", "act": "r"}


def test_padding_named_after_a_layer_is_not_its_value() -> None:
    file = FakeFile(
        (
            op("", "image", "p", module="conv"),
            op("conv", "p", "r", module="act", fused="relu", weights=9),
        ),
        sizes={"p": 2},
    )
    assert match(BLOCK[:3], file) == {"act": "r"}


def test_layers_meet_at_integer_tensors_and_the_first_takes_the_image_as_it_is() -> None:
    file = FakeFile(
        (
            op("cast", "image", "image8"),
            op("conv", "image8", "c", weights=9),
            op("cast", "c", "c8"),
            op("cast", "c8", "c32"),
            op("relu", "c32", "r"),
        ),
        steps=frozenset(("image8", "c8")),
    )
    first, second = cut(BLOCK[:3], {}, file)
    assert (first.operators, dict(first.inputs), first.output) == (
        (0, 1, 2),
        {"image": "image"},
        "c8",
    )
    assert (second.operators, dict(second.inputs), second.output) == ((3, 4), {"c8": "conv"}, "r")
    assert (second.labels, second.computing) == (("cast", "relu"), ("relu",))


def test_what_leads_to_an_output_behind_its_value_is_a_layer_too() -> None:
    file = FakeFile(
        (op("conv", "image", "c", weights=9), op("", "c", "landmarks")),
        outputs={"landmarks": "landmarks"},
    )
    layers = cut(BLOCK[:2], {"landmarks": "conv"}, file)
    assert [(layer.operators, dict(layer.inputs)) for layer in layers] == [
        ((0,), {"image": "image"}),
        ((1,), {"c": "conv"}),
    ]


@pytest.mark.parametrize(
    ("storage", "real", "stored"),
    [
        (Storage(np.dtype(np.int8), (3,), 0.5, 10, quantised=True), [0, 1, 1e6], [10, 12, 127]),
        (Storage(np.dtype(np.float32), (3,)), [0, 0.1, 1e6], [0, 0.1, 1e6]),
        (Storage(np.dtype(np.float32), (3,), 0.5), [0, 0.1, 1e6], [0, 0.2, 2e6]),
        (Storage(np.dtype(np.float16), (3,)), [0, 0.5, 1e6], [0, 0.5, np.inf]),
    ],
)
def test_values_are_stored_as_the_file_would_have_them(
    storage: Storage, real: list[float], stored: list[float]
) -> None:
    written = storage.write(np.array(real))
    assert written.dtype == storage.dtype
    np.testing.assert_allclose(written.astype(float), stored, rtol=1e-6)
    if not storage.quantised:
        np.testing.assert_allclose(storage.read(written)[:2], real[:2], rtol=1e-6)


def test_steps_are_read_back() -> None:
    storage = Storage(np.dtype(np.uint8), (2,), 0.25, 128, quantised=True)
    np.testing.assert_array_equal(storage.read(np.array([128, 0], np.uint8)), [0, -32])
