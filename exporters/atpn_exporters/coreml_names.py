"""Names inside a Core ML program: those of the PyTorch modules, so that a layer can be found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain, count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: What coremltools calls an operation or a constant that nobody named: a kind and a number.
ANONYMOUS = re.compile(
    r"(cast|const|dequantize|linear|op|quantize|sigmoid_hard|thresholded_relu)_\d+(?=_|$)"
)
#: What an fp16 program's values end in.
HALF = "_cast_fp16"


def written(path: str) -> str:
    """A module path as MIL spells it: `low.stem.conv` is `low_stem_conv`."""
    return re.sub(r"\W", "_", path)


def rename_by_module(program: torch.export.ExportedProgram, root: str) -> None:
    """Call each operator of the program, in place, after the module that computes it.

    The one operator of a module gets the module's path (`low_stem_conv`); where a module computes
    several, the operator follows (`heatmap_sub`, `heatmap_sub_1`). `root` is the path of the
    network within the traced module, and is left out.
    """
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    paths = [_module_path(node).removeprefix(root).removeprefix(".") for node in nodes]
    operators = Counter(paths)
    taken = Counter(node.name for node in program.graph.nodes)
    for node, path in zip(nodes, paths, strict=True):
        parts = [written(path)] if path else []
        if operators[path] > 1 or not path:
            parts.append(_operator(node))
        name = "_".join(parts)
        # Counted under the bare name, so that the second of a kind ends in _1.
        unique = f"{name}_{taken[name]}" if taken[name] else name
        taken[name] += 1
        before = node.name
        node._rename(unique)
        program.graph_signature.replace_all_uses(before, node.name)


def _module_path(node: torch.fx.Node) -> str:
    """The dotted path of the innermost module that the operator was called in."""
    stack = node.meta.get("nn_module_stack") or {}
    innermost = [path for path, _ in stack.values()]
    return str(innermost[-1]) if innermost else ""


def _operator(node: torch.fx.Node) -> str:
    """`conv2d` of aten.conv2d.default."""
    target = str(node.target)
    return target.split(".")[1] if "." in target else target


def tidy(function: Any, root: str) -> None:
    """Give the values of a MIL function, in place, names that are its own and do not count.

    What coremltools numbers through is called after what reads it, a linear layer after its
    weight, parameters without the prefixes of torch.export; an operation is called what its first
    output is called. Two conversions in one process would differ in those numbers.
    """
    for block in function.block_specializations.values():
        operations = list(block.operations)
        names = _better(operations, root)
        for operation in operations:
            _rename_operation(operation, names)
        block.outputs[:] = [names.get(name, name) for name in block.outputs]


def _better(operations: list[Any], root: str) -> dict[str, str]:
    """Old name to new name of every value that changes its name."""
    readers: dict[str, tuple[Any, str]] = {}
    for operation in operations:
        for parameter in sorted(operation.inputs):
            for argument in operation.inputs[parameter].arguments:
                if argument.name:
                    readers.setdefault(argument.name, (operation, parameter))
    names: dict[str, str] = {}
    taken = {output.name for operation in operations for output in operation.outputs}
    for operation in reversed(operations):  # a reader gets its name before what it reads
        for output in operation.outputs:
            name = re.sub(rf"^[pbc]_{root}_", "", output.name).replace("_has_output_shape", "")
            if ANONYMOUS.match(output.name):
                name = _after_neighbour(operation, output.name, readers, names, root)
            if name != output.name:
                names[output.name] = _free(name, taken)
                taken.add(names[output.name])
    return names


def _free(name: str, taken: set[str]) -> str:
    """The name, or with the first number behind it that no other value has."""
    numbers = (f"{name}_{number}" for number in count(1))
    return next(candidate for candidate in chain([name], numbers) if candidate not in taken)


def _after_neighbour(
    operation: Any,
    name: str,
    readers: Mapping[str, tuple[Any, str]],
    names: Mapping[str, str],
    root: str,
) -> str:
    """A name for what coremltools only numbered; the ending of fp16 values is kept."""
    ending = HALF if name.endswith(HALF) else ""
    if operation.type == "linear":
        weight = operation.inputs["weight"].arguments[0].name
        module = re.sub(rf"^p_{root}_", "", weight).removesuffix("_to_fp16")
        return module.removesuffix("_weight") + ending
    if name not in readers:
        return name
    reader, parameter = readers[name]
    whose = reader.outputs[0].name
    whose = names.get(whose, whose).removesuffix(HALF)
    what = parameter if operation.type == "const" else operation.type
    half = "_to_fp16" if operation.type == "const" and name.endswith("_to_fp16") else ""
    return f"{whose}_{what}{ending}{half}"


def _rename_operation(operation: Any, names: Mapping[str, str]) -> None:
    for parameter in operation.inputs.values():
        for argument in parameter.arguments:
            if argument.name in names:
                argument.name = names[argument.name]
    for output in operation.outputs:
        output.name = names.get(output.name, output.name)
    if operation.outputs and "name" in operation.attributes:
        strings = operation.attributes["name"].immediateValue.tensor.strings
        strings.values[:] = [operation.outputs[0].name]
