"""The folded network operator by operator: what each computes, in which module, from what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

    #: What every operator made of the crops, by the operator's name.
    Values = Mapping[str, Any]

#: PyTorch's name of a module, function or method to the kind of operator that records speak of;
#: what is not here keeps PyTorch's name (add, mul, cat, mean, amin, sqrt, rsqrt, tanh, ...).
KINDS = {
    "Conv2d": "conv",
    "ConvTranspose2d": "conv_transpose",
    "Linear": "linear",
    "ReLU": "relu",
    "Hardswish": "hard_swish",
    "Hardsigmoid": "hard_sigmoid",
    "Identity": "identity",
    "concat": "cat",
    "clamp_min": "clamp",
    "view": "reshape",
    "flatten": "reshape",
    "getitem": "slice",
}
#: Kinds that have weights.
WEIGHTED = ("conv", "conv_transpose", "linear")
#: Kinds that move values and compute none.
MOVING = ("identity", "permute", "reshape", "slice", "getattr")


@dataclass(frozen=True)
class Site:
    """One operator of the network."""

    name: str  # unique
    kind: str  # see KINDS
    module: str  # path of the innermost module that computes it: "high.mid.0.squeeze_excite"
    inputs: tuple[str, ...]  # names of the operators that it reads; constants are left out


class TracedNetwork:
    """A network as a row of operators, which can be computed as a whole or anew from some point.

    `network` takes (N, 112, 112, 3) in 0..255 and returns a dictionary of tensors.
    """

    def __init__(self, network: nn.Module) -> None:
        from torch import fx

        self.network = network
        self._traced = fx.symbolic_trace(network)
        self._nodes = {node.name: node for node in self._traced.graph.nodes}
        self.sites = {
            name: self._site(node)
            for name, node in self._nodes.items()
            if node.op not in ("output", "get_attr")
        }

    def _site(self, node: fx.Node) -> Site:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if node.op == "call_module":
            module = str(node.target)
            written = type(self._traced.get_submodule(module)).__name__
        else:
            module = stack[-1][0] if stack else ""
            written = node.target if isinstance(node.target, str) else node.target.__name__
        inputs = tuple(read.name for read in node.all_input_nodes if read.op != "get_attr")
        kind = "image" if node.op == "placeholder" else KINDS.get(written, written)
        return Site(node.name, kind, module, inputs)

    def readers(self, name: str) -> tuple[Site, ...]:
        """The operators that compute with this one's result, however it is moved before."""
        found: list[Site] = []
        for node in self._nodes[name].users:
            site = self.sites.get(node.name)
            if site is not None:
                found += self.readers(site.name) if site.kind in MOVING else [site]
        return tuple(dict.fromkeys(found))

    def layer(self, site: Site) -> nn.Module | None:
        """The layer with weights that computes a site; None for any other operator."""
        return self._traced.get_submodule(site.module) if site.kind in WEIGHTED else None

    def constants(self, site: Site) -> Iterator[NDArray[np.float32]]:
        """The tensors of the network that an operator reads beside other operators' results."""
        for node in self._nodes[site.name].all_input_nodes:
            if node.op == "get_attr":
                yield self._constant(node).numpy()

    def _constant(self, node: fx.Node) -> Tensor:
        owner, _, attribute = str(node.target).rpartition(".")
        value: Tensor = getattr(self._traced.get_submodule(owner), attribute)
        return value

    def run(self, crops: NDArray[np.uint8]) -> Values:
        """Every operator's result for crops (N, 112, 112, 3)."""
        import torch

        return self._computed({"": torch.from_numpy(crops).float()}, {}, {})

    def rerun(
        self,
        values: Values,
        after: Mapping[str, Callable[[Tensor], Tensor]],
        layers: Mapping[str, nn.Module],
    ) -> Values:
        """`values` with some operators changed and all that depends on them computed anew.

        `after` is applied to the results of the named operators, `layers` stand in for the
        operators of those names.
        """
        return self._computed(values, after, layers)

    def outputs(self, values: Values) -> dict[str, Tensor]:
        """The network's own outputs among the values."""
        [result] = [node for node in self._nodes.values() if node.op == "output"]
        return {name: values[node.name] for name, node in result.args[0].items()}

    def _computed(
        self,
        known: Values,
        after: Mapping[str, Callable[[Tensor], Tensor]],
        layers: Mapping[str, nn.Module],
    ) -> Values:
        import torch
        from torch import fx

        interpreter = fx.Interpreter(self._traced)
        values: dict[str, Any] = {}
        stale: set[str] = set()
        with torch.inference_mode():
            for name, node in self._nodes.items():
                changed = name in after or name in layers
                changed |= any(read.name in stale for read in node.all_input_nodes)
                if name in known and not changed:
                    value = known[name]
                elif node.op == "placeholder":
                    value = known[""]
                elif node.op == "output":
                    continue
                else:
                    value = self._one(interpreter, node, layers.get(name))
                    stale.add(name)
                if name in after:
                    value = after[name](value)
                interpreter.env[node] = values[name] = value
        return values

    def _one(self, interpreter: fx.Interpreter, node: fx.Node, layer: nn.Module | None) -> Any:
        if layer is None:
            return interpreter.run_node(node)
        arguments, keywords = interpreter.fetch_args_kwargs_from_env(node)
        return layer(*arguments, **keywords)


def is_within(module: str, part: str) -> bool:
    """Whether a module is `part` or lies inside it."""
    return module == part or module.startswith(part + ".")
