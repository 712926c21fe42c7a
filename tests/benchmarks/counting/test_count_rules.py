"""Multiply-adds, bytes and memory of graphs whose answer is arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from atpn_benchmarks.counting.count import count
from atpn_benchmarks.counting.fusion import with_products
from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_benchmarks.counting.liveness import alive_bytes
from atpn_benchmarks.counting.module_sums import by_module
from atpn_benchmarks.counting.operators import CountedGraph, cost

WORDS = Vocabulary(
    layers={
        "conv": Layer("conv"),
        "deconv": Layer("deconv"),
        "linear": Layer("linear"),
        "matmul": Layer("matmul", bias=None),
    },
    free=frozenset(("add", "mul", "relu", "quantize", "dequantize", "norm", "sum", "unpack")),
    channel_axis=1,
    views=frozenset(("reshape",)),
    quantizing=frozenset(("quantize",)),
    dequantizing=frozenset(("dequantize",)),
    activations=frozenset(("relu",)),
    trained={"norm": (1,)},
    products={"mul": "sum"},
    hybrid=True,
)


def graph(
    nodes: Iterable[Node], *values: Value, given: str = "x", made: tuple[str, ...] = ("y",)
) -> CountedGraph:
    table = {value.name: value for value in values}
    modules = {node.result: node.label for node in nodes}
    whole = Graph(tuple(nodes), table, (given,), made)
    return count(with_products(whole, WORDS), WORDS, modules)


def tensor(name: str, *shape: int, dtype: str = "float32") -> Value:
    return Value(name, shape, dtype)


def held(name: str, *shape: int, dtype: str = "float32") -> Value:
    return Value(name, shape, dtype, constant=True)


def node(kind: str, *inputs: str, out: str = "y", label: str = "", integer: bool = False) -> Node:
    return Node(out, kind, inputs, (out,), label, integer=integer)


@pytest.mark.parametrize(
    ("kind", "x", "weights", "y", "macs"),
    [
        # stride 2, padding 1 of the paper's stem: padded places count as others do
        ("conv", (1, 3, 112, 112), (16, 3, 3, 3), (1, 16, 56, 56), 16 * 56 * 56 * 3 * 3 * 3),
        ("conv", (1, 8, 7, 7), (8, 1, 5, 5), (1, 8, 7, 7), 8 * 7 * 7 * 5 * 5),  # depthwise
        ("conv", (1, 8, 7, 7), (12, 4, 1, 1), (1, 12, 7, 7), 12 * 7 * 7 * 4),  # two groups
        ("conv", (1, 2, 9, 9), (4, 2, 3, 3), (1, 4, 5, 5), 4 * 5 * 5 * 2 * 9),  # dilation 2
        ("conv", (3, 2, 9), (4, 2, 3), (3, 4, 7), 3 * 4 * 7 * 2 * 3),  # one side, batch of three
        ("deconv", (1, 48, 7, 7), (48, 48, 2, 2), (1, 48, 14, 14), 7 * 7 * 48 * 48 * 2 * 2),
        ("deconv", (1, 8, 7, 7), (8, 1, 2, 2), (1, 8, 14, 14), 7 * 7 * 8 * 2 * 2),  # depthwise
        ("linear", (1, 480), (196, 480), (1, 196), 480 * 196),
        ("linear", (2, 5, 480), (196, 480), (2, 5, 196), 2 * 5 * 480 * 196),
        ("matmul", (4, 6, 8), (8, 10), (4, 6, 10), 4 * 6 * 10 * 8),
    ],
)
def test_multiply_adds_of_a_layer(
    kind: str, x: tuple[int, ...], weights: tuple[int, ...], y: tuple[int, ...], macs: int
) -> None:
    found = cost(
        graph([node(kind, "x", "w")], tensor("x", *x), held("w", *weights), tensor("y", *y))
    )
    assert found.macs == macs
    assert found.uncounted == {}


def test_weights_and_bias_are_parameters_and_a_constant_map_is_not() -> None:
    nodes = [node("conv", "x", "w", "b", out="z"), node("add", "z", "map")]
    found = cost(
        graph(
            nodes,
            tensor("x", 1, 2, 4, 4),
            held("w", 6, 2, 1, 1),
            held("b", 6),
            tensor("z", 1, 6, 4, 4),
            held("map", 1, 6, 4, 4),
            tensor("y", 1, 6, 4, 4),
        )
    )
    assert found.parameters == 12 + 6
    assert found.weight_bytes == 4 * (12 + 6 + 96)


def test_slopes_and_norms_are_parameters_by_the_vocabulary() -> None:
    found = cost(
        graph([node("norm", "x", "g")], tensor("x", 1, 5), held("g", 5), tensor("y", 1, 5))
    )
    assert (found.parameters, found.macs) == (5, 0)


def test_what_is_unknown_is_listed_by_kind_and_its_bytes_still_count() -> None:
    nodes = [node("fancy", "x", out="a"), node("fancy", "a", out="b"), node("add", "b", "b")]
    sides = [tensor(name, 1, 3, 2, 2) for name in "xaby"]
    found = cost(graph(nodes, *sides))
    assert found.uncounted == {"fancy": 2}
    assert found.moved_bytes == 3 * 2 * 48


@pytest.mark.parametrize("unknown", ["x", "y"])
def test_a_layer_of_unknown_shape_is_listed(unknown: str) -> None:
    values = {
        "x": tensor("x", 1, 2, 4, 4),
        "w": held("w", 6, 2, 1, 1),
        "y": tensor("y", 1, 6, 4, 4),
    }
    values[unknown] = Value(unknown, None, "float32")
    found = cost(graph([node("conv", "x", "w")], *values.values()))
    assert (found.macs, found.uncounted) == (0, {"conv": 1})


def test_a_layer_without_weights_and_an_operator_without_a_result_are_listed() -> None:
    nodes = [node("linear", "x", "", out="y"), Node("assign", "assign", ("x",), ())]
    found = cost(graph(nodes, tensor("x", 1, 8), tensor("y", 1, 4)))
    assert found.uncounted == {"assign": 1, "linear": 1}


@pytest.mark.parametrize(
    ("data", "weights", "arithmetic"),
    [
        ("float32", "float32", "float32"),
        ("float16", "float16", "float16"),
        ("int8", "int8", "int8"),
        ("uint8", "int8", "int8"),
        ("int8", "int4", "int8"),
        ("int16", "int8", "int16x8"),
        ("float32", "int8", "int8"),  # this vocabulary quantises data when it runs
    ],
)
def test_arithmetic_of_a_layer(data: str, weights: str, arithmetic: str) -> None:
    found = graph(
        [node("linear", "x", "w")],
        tensor("x", 1, 8, dtype=data),
        held("w", 4, 8, dtype=weights),
        tensor("y", 1, 4, dtype=data),
    )
    assert found.operators[0].arithmetic == arithmetic
    assert cost(found).int8_macs == (32 if arithmetic == "int8" else 0)


def test_a_constant_that_is_unpacked_when_loading_is_no_operator() -> None:
    found = graph(
        [node("dequantize", "stored", "scale", out="w"), node("linear", "x", "w")],
        held("stored", 4, 8, dtype="float16"),
        held("scale", 4),
        tensor("w", 4, 8),
        tensor("x", 1, 8),
        tensor("y", 1, 4),
    )
    [linear] = found.operators
    assert linear.weight_bytes == 2 * 32  # in the file
    assert linear.read_bytes == 4 * 32 + 4 * 8  # as the layer reads it
    assert linear.parameters == 32


def quantised(integer: bool) -> CountedGraph:
    """x, quantised -> dequantise -> conv -> relu -> quantise, as QDQ files have it."""
    return graph(
        [
            node("dequantize", "x", out="real"),
            node("dequantize", "stored", out="w"),
            node("conv", "real", "w", out="z", label="stem", integer=integer),
            node("relu", "z", out="r", label="other"),
            node("quantize", "r", out="y"),
        ],
        tensor("x", 1, 2, 4, 4, dtype="uint8"),
        tensor("real", 1, 2, 4, 4),
        held("stored", 6, 2, 1, 1, dtype="int8"),
        tensor("w", 6, 2, 1, 1),
        tensor("z", 1, 6, 4, 4),
        tensor("r", 1, 6, 4, 4),
        tensor("y", 1, 6, 4, 4, dtype="uint8"),
    )


def test_casts_around_an_integer_kernel_are_gone() -> None:
    [conv] = quantised(integer=True).operators
    assert (conv.arithmetic, conv.fused, conv.module) == ("int8", ("relu",), "stem")
    assert conv.moved_bytes == 32 + 12 + 96


def test_casts_around_a_float_kernel_stay() -> None:
    found = quantised(integer=False)
    assert [operator.kind for operator in found.operators] == ["dequantize", "conv", "quantize"]
    assert cost(found).int8_macs == 0
    assert cost(found).moved_bytes == (32 + 128) + (128 + 48 + 384) + (384 + 96)


PRODUCT = (
    node("dequantize", "stored", out="w"),
    node("mul", "w", "x", out="p"),
    node("sum", "p", "axes"),
)
PRODUCT_VALUES = (
    held("stored", 1, 7, 7, 8, dtype="int8"),
    tensor("w", 1, 7, 7, 8),
    tensor("x", 1, 7, 7, 8),
    tensor("p", 1, 7, 7, 8),
    held("axes", 2, dtype="int32"),
    tensor("y", 1, 1, 1, 8),
)


def test_a_product_with_constants_that_is_summed_up_is_a_layer() -> None:
    found = cost(graph(PRODUCT, *PRODUCT_VALUES))
    assert (found.macs, found.parameters) == (7 * 7 * 8, 7 * 7 * 8)
    assert found.int8_macs == 0  # its weights are unpacked when the file is loaded


def test_a_product_that_is_read_elsewhere_too_is_none() -> None:
    nodes = (*PRODUCT, node("add", "p", "p", out="z"))
    assert cost(graph(nodes, *PRODUCT_VALUES, tensor("z", 1, 7, 7, 8))).macs == 0


def test_a_product_of_two_features_is_none() -> None:
    nodes = (node("mul", "x", "x", out="p"), PRODUCT[2])
    assert cost(graph(nodes, *PRODUCT_VALUES[2:])).macs == 0


def test_an_activation_is_not_fused_where_the_layer_s_result_is_read_twice() -> None:
    found = graph(
        [node("linear", "x", "w", out="z"), node("relu", "z", out="r"), node("add", "z", "r")],
        tensor("x", 1, 8),
        held("w", 4, 8),
        *(tensor(name, 1, 4) for name in "zry"),
    )
    assert [operator.kind for operator in found.operators] == ["linear", "relu", "add"]


def test_an_activation_is_not_fused_where_the_layer_s_result_is_an_output() -> None:
    found = graph(
        [node("linear", "x", "w", out="z"), node("relu", "z")],
        tensor("x", 1, 8),
        held("w", 4, 8),
        tensor("z", 1, 4),
        tensor("y", 1, 4),
        made=("z", "y"),
    )
    assert [operator.kind for operator in found.operators] == ["linear", "relu"]


def test_weights_that_two_layers_share_lie_in_the_file_once() -> None:
    found = cost(
        graph(
            [node("linear", "x", "w", out="z"), node("linear", "z", "w")],
            tensor("x", 1, 8),
            held("w", 8, 8),
            tensor("z", 1, 8),
            tensor("y", 1, 8),
        )
    )
    assert (found.parameters, found.weight_bytes, found.macs) == (64, 256, 128)


def test_liveness_by_hand() -> None:
    # x (40 bytes) -> a (80), x + a -> b (40), b -> view, view -> y (20)
    found = graph(
        [
            node("unpack", "x", out="a"),
            node("add", "x", "a", out="b"),
            node("reshape", "b", out="v"),
            node("add", "v", "v"),
        ],
        tensor("x", 10),
        tensor("a", 20),
        tensor("b", 10),
        tensor("v", 2, 5),
        tensor("y", 5),
    )
    assert alive_bytes(found) == (40 + 80, 40 + 80 + 40, 40, 40 + 20)
    assert cost(found).activation_bytes == 160
    assert cost(found).moved_bytes == (40 + 80) + (40 + 80 + 40) + 0 + (40 + 20)


def test_an_output_lives_to_the_end() -> None:
    nodes = [
        node("add", "x", "x", out="early"),
        node("add", "x", "x", out="z"),
        node("add", "z", "z"),
    ]
    values = [tensor(name, 10) for name in ("x", "early", "z", "y")]
    assert alive_bytes(graph(nodes, *values, made=("early", "y"))) == (80, 120, 120)
    assert alive_bytes(graph(nodes, *values, made=("y",))) == (80, 80, 80)


def test_a_graph_without_operators_takes_nothing() -> None:
    found = cost(graph([], tensor("x", 10), made=("x",)))
    assert (found.activation_bytes, found.macs, found.intensity) == (0, 0, 0)


def test_modules_are_summed_down_to_a_depth() -> None:
    nodes = [
        node("linear", "x", "w", out="a", label="low.stem.conv"),
        node("add", "a", "a", out="b", label="low.stem.act"),
        node("linear", "b", "w", label="high"),
    ]
    values = [tensor(name, 1, 8) for name in "xaby"]
    found = graph(nodes, held("w", 8, 8), *values).operators
    rows = {row.module: (row.operators, row.macs) for row in by_module(found, 1)}
    assert rows == {"low": (2, 64), "high": (1, 64)}
    assert [row.module for row in by_module(found)] == ["low.stem.conv", "low.stem.act", "high"]
