"""What ExecuTorch hands to XNNPACK: the operators of a delegate and the types that they store."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from atpn_deploy.errors import ArtifactError
from atpn_exporters.flatbuffer_table import Table

#: Bytes 4 to 8 of the delegate's data and of the flatbuffer inside them.
HEADER, IDENTIFIER = b"XH00", b"XN01"
#: Fields of the schema's tables.
NODES, VALUES = 1, 2  # of a graph
VALUE_TYPE, VALUE_SHAPE, VALUE_DATA, VALUE_EXTERNAL, VALUE_FLAGS, VALUE_ID = 0, 2, 3, 4, 5, 6
QUANTIZED = 2  # type of the union of values that wraps a tensor in its scales
HANDED_IN, HANDED_OUT = 1, 2  # bits of a tensor's flags
ABSENT = 0xFFFFFFFF  # number of a tensor that is left out


@dataclass(frozen=True)
class Shape:
    """The fields of an operator's table that name tensors."""

    inputs: tuple[int, ...]
    result: int


SIMPLE, BINARY = Shape((0,), 1), Shape((0, 1), 2)
CONVOLUTION, POOL = Shape((15, 16, 17), 18), Shape((10,), 11)
ALPHA, MOVE, WINDOW = Shape((1,), 2), Shape((2,), 3), Shape((3,), 4)
#: The schema's operators in the order of its union, named as reports on .tflite name them.
OPERATORS = (
    ("ADD", BINARY),
    ("FULLY_CONNECTED", Shape((0, 1, 2), 3)),
    ("SOFTMAX", SIMPLE),
    ("LOGISTIC", SIMPLE),
    ("TRANSPOSE", MOVE),
    ("CLAMP", SIMPLE),
    ("CONV_2D", CONVOLUTION),
    ("DIV", BINARY),
    ("RESIZE_BILINEAR", MOVE),
    ("PAD", WINDOW),
    ("AVERAGE_POOL_2D", POOL),
    ("MINIMUM", BINARY),
    ("DEPTHWISE_CONV_2D", CONVOLUTION),
    ("MAX_POOL_2D", POOL),
    ("MUL", BINARY),
    ("SUB", BINARY),
    ("FLOOR", SIMPLE),
    ("CONVERT", SIMPLE),
    ("MEAN", SIMPLE),
    ("RESHAPE", MOVE),
    ("ARG_MAX_POOL_2D", Shape((6,), 7)),
    ("SQRT", SIMPLE),
    ("CEIL", SIMPLE),
    ("HARD_SWISH", SIMPLE),
    ("LEAKY_RELU", ALPHA),
    ("MAXIMUM", BINARY),
    ("NEG", SIMPLE),
    ("SQUARE", SIMPLE),
    ("ELU", ALPHA),
    ("ABS", SIMPLE),
    ("PRELU", BINARY),
    ("CONCATENATION", Shape((1, 2), 5)),
    ("CONCATENATION", Shape((1, 2, 3), 5)),
    ("CONCATENATION", Shape((1, 2, 3, 4), 5)),
    ("SLICE", WINDOW),
    ("ATTENTION", Shape((0, 1, 2, 3, 4), 5)),
    ("BATCH_MATMUL", BINARY),
    ("CONCATENATION", Shape((1, 2, 3, 4, 7), 5)),
    ("TRANSPOSE_CONV", CONVOLUTION),
    ("RSQRT", SIMPLE),
    ("LOG", SIMPLE),
    ("GELU", SIMPLE),
    ("TANH", SIMPLE),
    ("EXP", SIMPLE),
    ("SIN", SIMPLE),
    ("COPY", SIMPLE),
    ("COS", SIMPLE),
)
#: The field that names an operator's weights.
WEIGHTS = {"FULLY_CONNECTED": 1, "CONV_2D": 16, "DEPTHWISE_CONV_2D": 16, "TRANSPOSE_CONV": 16}
#: The schema's data types, as reports write them.
DATA_TYPES = {
    1: "float32",
    2: "float16",
    3: "int8",
    4: "uint8",
    5: "int32",
    6: "int8 per channel",
    7: "int32 per channel",
    8: "int4 per channel",
    9: "int8, quantised when run",
}


@dataclass(frozen=True)
class Tensor:
    """What an operator reads or writes."""

    number: int
    shape: tuple[int, ...]  # channels last
    stores: str  # data type of its elements
    constant: bool
    handed_out: bool  # the delegate returns it


@dataclass(frozen=True)
class Node:
    """One operator that XNNPACK runs."""

    kind: str
    stores: str  # data type of its result
    weights: str  # data type of its weights; empty for an operator without
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


def nodes_of(content: bytes, constants: frozenset[int] = frozenset()) -> tuple[Node, ...]:
    """The operators of one delegate's data, in order.

    `constants` are the positions, among the call's arguments, of those that the program holds.
    Raises ArtifactError for data that are not XNNPACK's or hold operators of a newer schema;
    struct.error or IndexError for damaged ones.
    """
    if content[4:8] == HEADER:
        start, size = struct.unpack_from("<II", content, 10)
        content = content[start : start + size]
    if content[4:8] != IDENTIFIER:
        raise ArtifactError(f"a delegate's data begin with {content[:8]!r}, not with XNNPACK's")
    graph = Table.root(content)
    found = [_tensor(value, constants) for value in graph.tables(VALUES)]
    tensors = {tensor.number: tensor for tensor in found}
    return tuple(_node(node, tensors) for node in graph.tables(NODES))


def _tensor(value: Table, constants: frozenset[int]) -> Tensor:
    table = value.table(1)
    if value.number(0, "<B") == QUANTIZED:
        table = table.table(0)
    flags = table.number(VALUE_FLAGS)
    given = bool(flags & HANDED_IN) and table.number(VALUE_EXTERNAL) in constants
    return Tensor(
        table.number(VALUE_ID),
        table.numbers(VALUE_SHAPE),
        _type_name(table.number(VALUE_TYPE, "<h")),
        given or table.number(VALUE_DATA) != 0,
        bool(flags & HANDED_OUT),
    )


def _node(node: Table, tensors: dict[int, Tensor]) -> Node:
    number = node.number(0, "<B")
    if not 1 <= number <= len(OPERATORS):
        raise ArtifactError(
            f"a delegate holds operator {number} of XNNPACK's schema; this version knows "
            f"{len(OPERATORS)}: the file was made by a newer ExecuTorch"
        )
    kind, shape = OPERATORS[number - 1]
    table = node.table(1)
    read = [table.number(field) for field in shape.inputs]
    result = tensors[table.number(shape.result)]
    return Node(
        kind,
        result.stores,
        tensors[table.number(WEIGHTS[kind])].stores if kind in WEIGHTS else "",
        tuple(tensors[number] for number in read if number != ABSENT),
        (result,),
    )


def _type_name(number: int) -> str:
    return DATA_TYPES.get(number, f"data type {number}")
