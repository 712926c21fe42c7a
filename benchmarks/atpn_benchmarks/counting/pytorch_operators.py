"""The folded network itself for counting: PyTorch's own operators, traced and run once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.contract import IMAGE

if TYPE_CHECKING:
    from torch import fx, nn

VOCABULARY = Vocabulary(
    layers={
        "Conv2d": Layer("conv"),
        "ConvTranspose2d": Layer("deconv"),
        "Linear": Layer("linear"),
    },
    free=frozenset(
        """
        Hardsigmoid Hardswish ReLU add amin cat clamp clamp_min mean min minimum mul reciprocal
        rsqrt sigmoid softmax sqrt square sub sum tanh truediv
        """.split()
    ),
    channel_axis=1,
    # PyTorch changes strides here and leaves the bytes where they are.
    views=frozenset(
        """
        Identity expand flatten getitem permute reshape select squeeze unbind unsqueeze view
        """.split()
    ),
)


def read(network: nn.Module) -> Graph:
    """What the network runs for one image, as traced; labels are its modules' own paths."""
    import torch
    from torch import fx
    from torch.fx.passes.shape_prop import ShapeProp

    traced = fx.symbolic_trace(network)
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(IMAGE.shape))
    values: dict[str, Value] = {}
    nodes: list[Node] = []
    inputs: list[str] = []
    outputs: list[str] = []
    for node in traced.graph.nodes:
        if node.op == "output":
            outputs += [source.name for source in node.all_input_nodes]
        elif (value := _value(node)) is not None:
            values[node.name] = value
            if node.op == "placeholder":
                inputs.append(node.name)
            elif node.op != "get_attr":
                nodes.append(_node(node, traced, values, len(nodes)))
    return Graph(tuple(nodes), values, tuple(inputs), tuple(outputs))


def _value(node: fx.Node) -> Value | None:
    """The tensor that a node makes; None for a size or a group of tensors."""
    meta = node.meta.get("tensor_meta")
    if meta is None or not hasattr(meta, "shape"):
        return None
    dtype = str(meta.dtype).removeprefix("torch.")
    return Value(node.name, tuple(meta.shape), dtype, constant=node.op == "get_attr")


def _node(node: fx.Node, traced: fx.GraphModule, values: dict[str, Value], position: int) -> Node:
    target: Any = node.target
    inputs = [source.name for source in node.all_input_nodes if source.name in values]
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    module, kind = stack[-1][0] if stack else "", getattr(target, "__name__", str(target))
    if node.op == "call_module":
        module, layer = str(target), traced.get_submodule(str(target))
        kind = type(layer).__name__
        for name, parameter in layer.named_parameters():
            values[f"{module}.{name}"] = Value(
                f"{module}.{name}", tuple(parameter.shape), "float32", constant=True
            )
            inputs.append(f"{module}.{name}")
    return Node(node.name, kind, tuple(inputs), (node.name,), module, position)
