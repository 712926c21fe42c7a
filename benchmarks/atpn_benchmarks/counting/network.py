"""What the network itself costs, module by module: fvcore's count and PyTorch's parameters."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atpn_benchmarks.counting import pytorch_operators
from atpn_benchmarks.counting.count import count
from atpn_benchmarks.counting.operators import cost
from atpn_benchmarks.results import Cost
from atpn_deploy.contract import IMAGE
from atpn_deploy.errors import MissingToolError

if TYPE_CHECKING:
    from torch import nn

    from atpn_deploy.config import ATPNConfig

#: What fvcore calls the operators that are multiply-adds; what else it counts is not.
MULTIPLYING = ("conv", "linear", "addmm", "bmm", "einsum", "matmul")


@dataclass(frozen=True)
class Branch:
    """A part of the network that the paper speaks of, and its modules."""

    name: str
    modules: tuple[str, ...]


ALIGNMENT = Branch("backbone + alignment branch", ("low", "high", "alignment"))
TRACKING = Branch("tracking branch", ("tracking",))
POSE = Branch("pose branch", ("pose",))
ALL = Branch("all three tasks", ("",))
BRANCHES = (ALIGNMENT, TRACKING, POSE, ALL)


@dataclass(frozen=True)
class ModuleCount:
    """One module with all that is inside it."""

    path: str  # "" for the network
    parameters: int
    macs: int

    @property
    def depth(self) -> int:
        """How many modules lie around it: 0 for the network."""
        return len(self.path.split(".")) if self.path else 0


@dataclass(frozen=True)
class NetworkCount:
    """A network as it is deployed, its batch norms folded, for one image."""

    name: str
    modules: tuple[ModuleCount, ...]  # the network first, then as PyTorch lists them
    #: ATen operator to the number of calls that fvcore does not know: without multiply-adds here.
    unknown: Mapping[str, int]
    cost: Cost  # of PyTorch's own operators, run one by one

    def module(self, path: str) -> ModuleCount:
        """The module of that path; KeyError if there is none."""
        found = {module.path: module for module in self.modules}
        return found[path]

    def branch(self, branch: Branch) -> ModuleCount:
        """The sum of a branch's modules, under its name."""
        modules = [self.module(path) for path in branch.modules]
        return ModuleCount(
            branch.name, sum(m.parameters for m in modules), sum(m.macs for m in modules)
        )

    def down_to(self, depth: int) -> tuple[ModuleCount, ...]:
        """The modules that at most `depth` others lie around; those without a cost left out."""
        shown = [m for m in self.modules if m.depth <= depth and (m.macs or m.parameters)]
        return tuple(shown)


def count_network(config: ATPNConfig) -> NetworkCount:
    """The folded network of all three tasks; weights are not needed, for no count depends on them.

    Raises MissingToolError without fvcore.
    """
    from atpn_deploy.folding import FoldedATPN
    from atpn_deploy.model import ATPN

    network = FoldedATPN(ATPN(config))
    graph = pytorch_operators.read(network)
    labels = {node.outputs[0]: node.label for node in graph.nodes}
    modules, unknown = count_modules(network)
    return NetworkCount(
        config.name, modules, unknown, cost(count(graph, pytorch_operators.VOCABULARY, labels))
    )


def count_modules(network: nn.Module) -> tuple[tuple[ModuleCount, ...], dict[str, int]]:
    """Every module that takes the contract's image, and the operators that fvcore does not know."""
    import torch

    try:
        with warnings.catch_warnings():  # fvcore compiles a loss function with torch.jit.script
            warnings.simplefilter("ignore", DeprecationWarning)
            from fvcore.nn import FlopCountAnalysis
    except ImportError as error:
        raise MissingToolError(
            "counting a network needs fvcore: pip install -c constraints.txt 'atpn-deploy[bench]'"
        ) from error
    analysis = FlopCountAnalysis(network, torch.zeros(IMAGE.shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_module: Mapping[str, Counter[str]] = analysis.by_module_and_operator()
    modules = tuple(
        ModuleCount(
            path,
            sum(parameter.numel() for parameter in module.parameters()),
            int(sum(by_module[path][operator] for operator in MULTIPLYING)),
        )
        for path, module in network.named_modules()
    )
    return modules, dict(sorted(analysis.unsupported_ops().items()))
