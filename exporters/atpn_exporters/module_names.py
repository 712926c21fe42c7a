"""From the names inside a converted graph to the PyTorch modules that they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atpn_exporters.tracing import is_within

if TYPE_CHECKING:
    from torch import nn

    from atpn_deploy.model import ATPN


@dataclass(frozen=True)
class NamedOperator:
    """One operator of a converted graph, in the order of computation."""

    label: str  # module path as the converter wrote it, dots between its parts
    inputs: tuple[int, ...]  # tensors
    outputs: tuple[int, ...]


def called_names(network: nn.Module) -> dict[str, str]:
    """Every called module's path to the path that a trace of its calls shows.

    A list of modules is never called, so its name is missing there: `alignment.coord.2` is
    `alignment.2`.
    """
    from torch import nn

    names = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.ModuleList):
            continue
        parts = path.split(".")
        kept = [
            part
            for depth, part in enumerate(parts, 1)
            if not isinstance(network.get_submodule(".".join(parts[:depth])), nn.ModuleList)
        ]
        names[path] = ".".join(kept)
    return names


def called_names_of(model: ATPN) -> dict[str, str]:
    """`called_names` of the network as it is exported."""
    from atpn_deploy.folding import FoldedATPN

    return called_names(FoldedATPN(model, "full"))


def owners(operators: Sequence[NamedOperator], called: Mapping[str, str]) -> list[str]:
    """The module of each operator; empty for what belongs to the network as a whole.

    Where a label fits several modules (`alignment.2` is the multiview block and the CoordConv of
    one level), the operator belongs to the one that made one of its inputs.
    """
    by_label: dict[str, list[str]] = {}
    for path, label in called.items():
        by_label.setdefault(label, []).append(path)
    maker: dict[int, str] = {}
    found = []
    for operator in operators:
        fitting = by_label.get(operator.label, [""])
        sources = [maker[index] for index in operator.inputs if index in maker]
        within = [path for path in fitting if any(is_within(source, path) for source in sources)]
        # Of two that fit, the later in the network: what it reads may come from the earlier one.
        module = (within or fitting)[-1] if fitting != [""] else ""
        found.append(module)
        maker.update(dict.fromkeys(operator.outputs, module))
    return found


def traced_label(name: str) -> str:
    """`/high/high/high.0/expand/conv/Conv`, a node of a traced ONNX graph, as `high.high.0...`.

    A sequence of modules that was called repeats its name before the number; a list of modules
    shows it there alone.
    """
    parts: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)
