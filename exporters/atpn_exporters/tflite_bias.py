"""Float linear layers add their bias last, which keeps float files within 1e-4 px."""

from __future__ import annotations

import copy
from typing import Any


def add_biases_last(model: Any) -> None:
    """Turn every float FULLY_CONNECTED with a bias into one without, followed by an ADD.

    XNNPACK starts its sums with the bias. That of the landmarks holds the mean shape, about 0.5,
    and each of 480 small terms is then rounded to its last place: 2e-4 px in the end. The
    converter fuses the addition that the network makes, so it is taken apart in the file.
    """
    from ai_edge_litert import schema_py_generated as schema

    linear = _opcode(model, schema.BuiltinOperator.FULLY_CONNECTED)
    for subgraph in model.subgraphs:
        rewritten = []
        for op in subgraph.operators:
            rewritten.append(op)
            if op.opcodeIndex == linear and _can_split(subgraph, op, schema):
                rewritten.append(_split(model, subgraph, op, schema))
        subgraph.operators = rewritten


def _can_split(subgraph: Any, op: Any, schema: Any) -> bool:
    """A float output, a float bias and no activation fused behind them."""
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return False
    tensors = [subgraph.tensors[index] for index in (op.inputs[2], op.outputs[0])]
    return (
        all(tensor.type == schema.TensorType.FLOAT32 for tensor in tensors)
        and op.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.NONE
    )


def _split(model: Any, subgraph: Any, op: Any, schema: Any) -> Any:
    """Let `op` write a new tensor without bias; return the ADD that writes its old one."""
    old = subgraph.tensors[op.outputs[0]]
    product = copy.copy(old)
    product.name = old.name + b"/product"
    subgraph.tensors.append(product)
    add = schema.OperatorT()
    add.opcodeIndex = _opcode(model, schema.BuiltinOperator.ADD)
    add.inputs = [len(subgraph.tensors) - 1, int(op.inputs[2])]
    add.outputs = [int(op.outputs[0])]
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.builtinOptions = schema.AddOptionsT()
    op.inputs = [int(op.inputs[0]), int(op.inputs[1]), -1]
    op.outputs = [len(subgraph.tensors) - 1]
    return add


def _opcode(model: Any, builtin: int) -> int:
    """Index of an operator's code; every ATPN has linear layers and additions."""
    return [code.builtinCode for code in model.operatorCodes].index(builtin)
