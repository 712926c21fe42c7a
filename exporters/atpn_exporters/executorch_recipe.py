"""Which operators of ATPN ExecuTorch's int8 leaves in float, and what each is called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from atpn_exporters.target import PlannedOperator
from atpn_exporters.tracing import is_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.fx import GraphModule, Node

#: Operators that hand on what they are given: they are float where that is.
MOVING = ("reshape", "view", "permute")
JOINING = ("add", "cat")


def kind_of(node: Node) -> str:
    """`aten.conv2d.default` as `conv2d`; empty for what is no operator."""
    return str(node.target).split(".")[1] if node.op == "call_function" else ""


def module_of(node: Node) -> str:
    """The path of the innermost PyTorch module that a node belongs to."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def names_of(graph: GraphModule) -> dict[str, str]:
    """The name in calibration ranges of each activation, by the node's own name.

    A module's path and the kind of operator: those do not change with another PyTorch.
    """
    names, seen = {}, Counter[str]()
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            names[node.name] = "image"
        elif node.op == "call_function" and "val" in node.meta:
            name = f"{module_of(node)}/{kind_of(node)}"
            seen[name] += 1
            names[node.name] = name if seen[name] == 1 else f"{name}_{seen[name]}"
    return names


def left_in_float(graph: GraphModule, float_modules: Sequence[str] = ()) -> list[Node]:
    """The operators of a graph that stay float; the scheme is that of TFLite's int8.

    - Hard-swish, for which XNNPACK has no int8 kernel.
    - The 7x7 depthwise heads, whose sums are the finest numbers of the network, the linear layers
      and what depends on nothing else: heat map, tanh, sigmoid. An int8 landmark has steps of half
      a pixel.
    - What lies between the last convolutions and the landmark head: see `_before_head`.
    - `float_modules`, and what only joins or moves their results.
    """
    left: dict[Node, None] = {}  # in order
    tail: set[Node] = set()
    for node in graph.graph.nodes:
        kind, data = kind_of(node), [n for n in node.all_input_nodes if n.op != "get_attr"]
        if kind == "linear" or (data and tail.issuperset(data)):
            tail.add(node)
            left[node] = None
        elif kind == "hardswish" or any(is_within(module_of(node), m) for m in float_modules):
            left[node] = None
        elif _is_head(node):
            left.update(dict.fromkeys((node, *_before_head(node))))
        elif kind in (*MOVING, *JOINING) and data and all(n in left for n in data):
            left[node] = None
    return [node for node in left if node.op == "call_function"]


def _is_head(node: Node) -> bool:
    """A depthwise convolution over a whole map: (1, C, h, w) to (1, C, 1, 1)."""
    if kind_of(node) != "conv2d":
        return False
    weights: Any = node.args[1]
    return tuple(node.meta["val"].shape[2:]) == (1, 1) and tuple(weights.meta["val"].shape)[2:] > (
        1,
        1,
    )


def _before_head(head: Node) -> list[Node]:
    """What joins the three levels: the concatenation, activations and constant maps before it.

    One step for all three levels is too coarse where their values differ: `atpn-lite`, mean over
    golden faces, 0.71 px with these in int8 and 0.15 px with them in float. Before hard-swishes,
    which are float themselves, the coarsest convolution too; tflite_recipe.py measures that.
    """
    joined: Any = head.args[0]
    if kind_of(joined) != "cat":
        return []
    swishes = joined.args[0]
    if any(kind_of(swish) not in ("hardswish", "relu") for swish in swishes):
        return []
    found = [joined]
    for swish in swishes:
        addition = swish.args[0]
        found += [swish, addition]
        if kind_of(swish) == "relu":
            continue
        for node in addition.all_input_nodes:
            if kind_of(node) == "conv2d" and node.meta["val"].shape == addition.meta["val"].shape:
                source = node.args[0].meta["val"].shape
                if source[2:] == node.meta["val"].shape[2:]:
                    found.append(node)
    return found


def planned(graph: GraphModule) -> list[PlannedOperator]:
    """What int8 does to each operator."""
    left = {node.name for node in left_in_float(graph)}
    names = names_of(graph)
    return [
        PlannedOperator(module_of(node), names[node.name], node.name in left)
        for node in graph.graph.nodes
        if node.op == "call_function" and node.name in names
    ]
