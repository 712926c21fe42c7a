"""Small files whose operators are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

#: Writes a float .tflite: a 1x1 convolution of MACS multiply-adds, then these operators in a row.
WriteChain = Callable[[Sequence[str]], Path]


@pytest.fixture
def write_chain(tmp_path: Path) -> WriteChain:
    """See WriteChain; the operators take one tensor and no options. Signature "full"."""
    from ai_edge_litert import schema_py_generated as schema

    from atpn_benchmarks.peak_files import peak_files
    from atpn_exporters.tflite_flatbuffer import pack, read_model

    def write(kinds: Sequence[str]) -> Path:
        (tmp_path / "peaks").mkdir()
        files = peak_files(tmp_path / "peaks")
        [first] = [f for f in files if "fp32-28x128x1" in f.name and f.suffix == ".tflite"]
        model = read_model(first)
        [subgraph] = model.subgraphs
        for kind in kinds:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode = code.builtinCode
            model.operatorCodes.append(code)
            result = schema.TensorT()
            result.shape, result.type = subgraph.tensors[3].shape, subgraph.tensors[3].type
            result.name = f"full/{kind.lower()}/{len(subgraph.tensors)}".encode()
            subgraph.tensors.append(result)
            operator = schema.OperatorT()
            operator.opcodeIndex = len(model.operatorCodes) - 1
            operator.inputs = subgraph.operators[-1].outputs
            operator.outputs = [len(subgraph.tensors) - 1]
            subgraph.operators.append(operator)
        subgraph.tensors[3].name = b"full/low/conv"
        subgraph.outputs = subgraph.operators[-1].outputs
        model.signatureDefs = [_signature(subgraph)]
        path = tmp_path / "chain.tflite"
        path.write_bytes(pack(model))
        return path

    return write


def _signature(subgraph: object) -> object:
    from ai_edge_litert import schema_py_generated as schema

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"full", 0
    for side, indices in (("inputs", subgraph.inputs), ("outputs", subgraph.outputs)):
        tensor = schema.TensorMapT()
        tensor.name, tensor.tensorIndex = side.encode(), indices[0]
        setattr(signature, side, [tensor])
    return signature
