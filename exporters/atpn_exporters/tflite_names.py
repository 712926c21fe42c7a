"""Short tensor names: `full/high/mid/0/expand/conv` in place of the converter's class paths."""

from __future__ import annotations

from collections import Counter
from typing import Any


def rename(model: Any) -> None:
    """Name every activation after its layer and every constant by number, signature first.

    The converter's names take 200 bytes each, and it numbers equal ones through the whole file, so
    that a tensor is called differently in a file of one and of two signatures. Calibration caches
    know activations by these names.
    """
    for signature in model.signatureDefs:
        subgraph = model.subgraphs[signature.subgraphIndex]
        prefix = signature.signatureKey.decode()
        written = [int(index) for op in subgraph.operators for index in op.outputs]
        activations = dict.fromkeys((*(int(index) for index in subgraph.inputs), *written))
        seen: Counter[str] = Counter()
        for index in activations:
            layer = layer_of(subgraph.tensors[index].name.decode())
            number = f":{seen[layer]}" if seen[layer] else ""
            seen[layer] += 1
            subgraph.tensors[index].name = f"{prefix}/{layer}{number}".encode()
        for index, tensor in enumerate(subgraph.tensors):
            if index not in activations:
                tensor.name = f"{prefix}/constant:{index}".encode()


def layer_of(name: str) -> str:
    """The module path inside one of the converter's names.

    "a.FoldedATPN/a.LowLevel_low/torch.nn.Conv2d_conv;;more;2" is "low/conv".
    """
    first = name.split(";")[0]
    parts = [part.rpartition(".")[2].partition("_") for part in first.split("/")]
    if "." not in first:
        return first
    return "/".join(attribute for _, _, attribute in parts if attribute) or "output"
