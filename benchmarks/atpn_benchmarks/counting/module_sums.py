"""A file's operators summed by the PyTorch module that they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from atpn_benchmarks.counting.operators import CountedOperator


@dataclass(frozen=True)
class ModuleSum:
    """What the operators of one module cost together."""

    module: str  # path; "" for what belongs to the network as a whole
    operators: int
    macs: int
    int8_macs: int  # of `macs`
    parameters: int
    weight_bytes: int  # in the file
    moved_bytes: int  # read and written in one inference

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte moved."""
        return self.macs / self.moved_bytes if self.moved_bytes else 0.0


def by_module(
    operators: Iterable[CountedOperator], depth: int | None = None
) -> tuple[ModuleSum, ...]:
    """The sums by module, in the order in which modules first run.

    `depth` cuts paths off after so many parts, so that a module's parts count as one; None leaves
    them whole.
    """
    groups: dict[str, list[CountedOperator]] = defaultdict(list)
    for operator in operators:
        groups[".".join(operator.module.split(".")[:depth])].append(operator)
    return tuple(_sum(module, members) for module, members in groups.items())


def _sum(module: str, members: list[CountedOperator]) -> ModuleSum:
    return ModuleSum(
        module,
        len(members),
        sum(operator.macs or 0 for operator in members),
        sum(operator.macs or 0 for operator in members if operator.arithmetic == "int8"),
        sum(operator.parameters for operator in members),
        sum(operator.weight_bytes for operator in members),
        sum(operator.moved_bytes for operator in members),
    )
