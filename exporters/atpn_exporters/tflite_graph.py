"""What a .tflite holds, read from its flatbuffer, and what XNNPACK takes of it, as LiteRT says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError, ExportError
from atpn_deploy.native_stderr import captured_stderr
from atpn_exporters.target import GraphFacts
from atpn_exporters.tflite_flatbuffer import pack, read_model

#: Operators that change the representation of a tensor and compute nothing.
CASTS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class Operator:
    """One operator of a signature's graph; tensors by index into `Graph.tensors`."""

    kind: str  # CONV_2D, ADD, ...; a custom operator by its own name
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """One tensor: what it is called, how it is stored and whether the file holds its values."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # FLOAT32, INT8, ...
    constant: bool
    scales: int  # number of quantisation scales: 0 for float, more than one for per-channel


@dataclass(frozen=True)
class Graph:
    """The graph of one signature."""

    signature: str
    inputs: dict[str, int]  # signature name to tensor index
    outputs: dict[str, int]
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]


def graphs(model: Any) -> tuple[Graph, ...]:
    """The graph of every signature, in the file's order."""
    return tuple(
        _graph(
            model,
            model.subgraphs[signature.subgraphIndex],
            signature.signatureKey.decode(),
            {entry.name.decode(): int(entry.tensorIndex) for entry in signature.inputs},
            {entry.name.decode(): int(entry.tensorIndex) for entry in signature.outputs},
        )
        for signature in model.signatureDefs or ()
    )


def unsigned_graph(model: Any) -> Graph:
    """The first graph of a file without signatures, inputs and outputs by the tensors' names."""
    subgraph = model.subgraphs[0]

    def named(indices: Any) -> dict[str, int]:
        return {subgraph.tensors[index].name.decode(): int(index) for index in indices}

    return _graph(model, subgraph, "", named(subgraph.inputs), named(subgraph.outputs))


def _graph(
    model: Any, subgraph: Any, signature: str, inputs: dict[str, int], outputs: dict[str, int]
) -> Graph:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    dtypes = {value: name for name, value in vars(schema.TensorType).items()}
    return Graph(
        signature,
        inputs,
        outputs,
        tuple(_tensor(model, tensor, dtypes) for tensor in subgraph.tensors),
        tuple(_operator(model, op, kinds) for op in subgraph.operators),
    )


def _tensor(model: Any, tensor: Any, dtypes: dict[int, str]) -> Tensor:
    quantization = tensor.quantization
    scale = None if quantization is None else quantization.scale
    return Tensor(
        tensor.name.decode(),
        () if tensor.shape is None else tuple(int(side) for side in tensor.shape),
        dtypes[tensor.type],
        model.buffers[tensor.buffer].data is not None,
        0 if scale is None else len(scale),
    )


def _operator(model: Any, operator: Any, kinds: dict[int, str]) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    custom = code.customCode is not None
    # A file of the first schemas has its operators in the field that was one byte wide.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return Operator(
        code.customCode.decode() if custom else kinds.get(number, f"OPERATOR_{number}"),
        custom,
        tuple(int(index) for index in operator.inputs if index >= 0),
        tuple(int(index) for index in operator.outputs),
    )


def constant(model: Any, graph: Graph, index: int) -> NDArray[np.float32]:
    """The values of a float constant, as one row."""
    for signature in model.signatureDefs:
        if signature.signatureKey.decode() == graph.signature:
            tensor = model.subgraphs[signature.subgraphIndex].tensors[index]
            return np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32)
    raise ValueError(f"the model has no signature {graph.signature!r}")


def in_float(graph: Graph, operator: Operator) -> bool:
    """Whether an operator computes in float: any but a cast that writes float values."""
    if operator.kind in CASTS:
        return False
    return any(graph.tensors[index].dtype.startswith("FLOAT") for index in operator.outputs)


def refuse_foreign_operators(path: Path) -> None:
    """Raise ExportError for an operator that a phone's plain runtime lacks."""
    for graph in graphs(read_model(path)):
        foreign = sorted({op.kind for op in graph.operators if op.custom})
        if foreign:
            raise ExportError(
                f"the converter put {', '.join(foreign)} into the {graph.signature} graph; only "
                "built-in TFLite operators run everywhere: rewrite that layer in folding.py"
            )


def inspect(path: Path) -> GraphFacts:
    """The facts of a report; those of all signatures added up, partitions of the worst one."""
    model = read_model(path)
    found = graphs(model)
    if not found:
        raise ArtifactError(f"{path} has no signature; atpn-deploy's files bind outputs by name")
    taken = [delegation(isolated(model, graph.signature)[1]) for graph in found]
    operators: Counter[str] = Counter(op.kind for graph in found for op in graph.operators)
    floats = Counter(op.kind for graph in found for op in graph.operators if in_float(graph, op))
    undelegated: Counter[str] = Counter()
    for _, outside in taken:
        undelegated.update(outside)
    return GraphFacts(
        operators=dict(sorted(operators.items())),
        float_operators=dict(sorted(floats.items())),
        transposes=operators["TRANSPOSE"],
        partitions=max(count for count, _ in taken),
        undelegated=dict(sorted(undelegated.items())),
        scheme=scheme(found),
    )


def scheme(found: tuple[Graph, ...]) -> str:
    """What the file stores and computes in, as found: weights, then activations, then floats."""
    computing = [(graph, op) for graph in found for op in graph.operators if op.kind not in CASTS]
    weights = Counter(_weight_type(graph, op) for graph, op in computing)
    del weights[""]
    activations = Counter(graph.tensors[op.outputs[0]].dtype.lower() for graph, op in computing)
    floats = sum(in_float(graph, op) for graph, op in computing)
    return (
        f"weights {' and '.join(kind for kind, _ in weights.most_common())}; activations "
        f"{' and '.join(kind for kind, _ in activations.most_common())}; "
        f"{floats} of {len(computing)} operators in float"
    )


def _weight_type(graph: Graph, operator: Operator) -> str:
    """How the weights of a layer are stored; empty for an operator that has none."""
    if "CONV" not in operator.kind and operator.kind != "FULLY_CONNECTED":
        return ""
    index = operator.inputs[1]
    makers = [op for op in graph.operators if op.kind == "DEQUANTIZE" and index in op.outputs]
    tensor = graph.tensors[makers[0].inputs[0] if makers else index]
    return tensor.dtype.lower() + (" per channel" if tensor.scales > 1 else "")


def isolated(model: Any, signature: str) -> tuple[Graph, bytes]:
    """The graph of one signature and a file with that graph alone, which leaves `model` as it was.

    LiteRT shows operators and intermediate tensors of a file's first graph only.
    """
    kept = [s for s in model.signatureDefs if s.signatureKey.decode() == signature]
    if not kept:
        raise ArtifactError(f"the file has no signature {signature!r}")
    subgraphs, signatures, index = model.subgraphs, model.signatureDefs, kept[0].subgraphIndex
    model.subgraphs, model.signatureDefs, kept[0].subgraphIndex = [subgraphs[index]], kept, 0
    try:
        graph = graphs(model)[0]
        return graph, pack(model)
    finally:
        model.subgraphs, model.signatureDefs = subgraphs, signatures
        kept[0].subgraphIndex = index


def delegation(content: bytes) -> tuple[int, Counter[str]]:
    """(XNNPACK partitions, operators outside them) as LiteRT plans to run the first graph.

    Its list of nodes ends with one DELEGATE a partition, which names the tensors that go in and
    come out; walking back from those that come out to those that go in finds the operators inside.
    """
    from ai_edge_litert.interpreter import Interpreter

    with captured_stderr():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()
    partitions = [node for node in nodes if node["op_name"] == "DELEGATE"]
    own = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(tensor): node for node in own for tensor in node["outputs"]}
    inside = {index for partition in partitions for index in _inside(partition, maker)}
    return len(partitions), Counter(n["op_name"] for n in own if n["index"] not in inside)


def _inside(partition: dict[str, Any], maker: dict[int, dict[str, Any]]) -> Iterator[int]:
    """The nodes that one partition computes."""
    border = {int(tensor) for tensor in partition["inputs"]}
    waiting = [int(tensor) for tensor in partition["outputs"]]
    while waiting:
        tensor = waiting.pop()
        if tensor in border or tensor not in maker:
            continue
        border.add(tensor)
        yield maker[tensor]["index"]
        waiting += [int(source) for source in maker[tensor]["inputs"]]
