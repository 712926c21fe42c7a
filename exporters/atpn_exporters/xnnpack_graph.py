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
VALUE_TYPE, VALUE_ID = 0, 6  # of a tensor
QUANTIZED = 2  # type of the union of values that wraps a tensor in its scales

#: The field that names an operator's result, by the shape of its table.
SIMPLE, BINARY, JOIN, CONVOLUTION, POOL = 1, 2, 5, 18, 11
#: The schema's operators in the order of its union, named as reports on .tflite name them.
OPERATORS = (
    ("ADD", BINARY),
    ("FULLY_CONNECTED", 3),
    ("SOFTMAX", SIMPLE),
    ("LOGISTIC", SIMPLE),
    ("TRANSPOSE", 3),
    ("CLAMP", SIMPLE),
    ("CONV_2D", CONVOLUTION),
    ("DIV", BINARY),
    ("RESIZE_BILINEAR", 3),
    ("PAD", 4),
    ("AVERAGE_POOL_2D", POOL),
    ("MINIMUM", BINARY),
    ("DEPTHWISE_CONV_2D", CONVOLUTION),
    ("MAX_POOL_2D", POOL),
    ("MUL", BINARY),
    ("SUB", BINARY),
    ("FLOOR", SIMPLE),
    ("CONVERT", SIMPLE),
    ("MEAN", SIMPLE),
    ("RESHAPE", 3),
    ("ARG_MAX_POOL_2D", 7),
    ("SQRT", SIMPLE),
    ("CEIL", SIMPLE),
    ("HARD_SWISH", SIMPLE),
    ("LEAKY_RELU", 2),
    ("MAXIMUM", BINARY),
    ("NEG", SIMPLE),
    ("SQUARE", SIMPLE),
    ("ELU", 2),
    ("ABS", SIMPLE),
    ("PRELU", BINARY),
    ("CONCATENATION", JOIN),
    ("CONCATENATION", JOIN),
    ("CONCATENATION", JOIN),
    ("SLICE", 4),
    ("ATTENTION", 5),
    ("BATCH_MATMUL", BINARY),
    ("CONCATENATION", JOIN),
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
class Node:
    """One operator that XNNPACK runs."""

    kind: str
    stores: str  # data type of its result
    weights: str  # data type of its weights; empty for an operator without


def nodes_of(content: bytes) -> tuple[Node, ...]:
    """The operators of one delegate's data, in order.

    Raises ArtifactError for data that are not XNNPACK's or hold operators of a newer schema;
    struct.error or IndexError for damaged ones.
    """
    if content[4:8] == HEADER:
        start, size = struct.unpack_from("<II", content, 10)
        content = content[start : start + size]
    if content[4:8] != IDENTIFIER:
        raise ArtifactError(f"a delegate's data begin with {content[:8]!r}, not with XNNPACK's")
    graph = Table.root(content)
    types = {}
    for value in graph.tables(VALUES):
        tensor = value.table(1)
        if value.number(0, "<B") == QUANTIZED:
            tensor = tensor.table(0)
        types[tensor.number(VALUE_ID)] = _type_name(tensor.number(VALUE_TYPE, "<h"))
    return tuple(_node(node, types) for node in graph.tables(NODES))


def _node(node: Table, types: dict[int, str]) -> Node:
    number = node.number(0, "<B")
    if not 1 <= number <= len(OPERATORS):
        raise ArtifactError(
            f"a delegate holds operator {number} of XNNPACK's schema; this version knows "
            f"{len(OPERATORS)}: the file was made by a newer ExecuTorch"
        )
    kind, result = OPERATORS[number - 1]
    table = node.table(1)
    weights = types[table.number(WEIGHTS[kind])] if kind in WEIGHTS else ""
    return Node(kind, types[table.number(result)], weights)


def _type_name(number: int) -> str:
    return DATA_TYPES.get(number, f"data type {number}")
