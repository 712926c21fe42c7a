"""Where the time of one inference goes, by operators grouped under their modules."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_benchmarks.results import OperatorTime, Row

#: Operators that a report lists one by one; the rest is one line, and the JSON has them all.
LISTED = 40
#: Where an operator belongs to no module.
WHOLE = "(no module of its own)"


@dataclass(frozen=True)
class Part:
    """Operators of one module, or one part of the network."""

    name: str
    operators: int
    seconds: float
    share: float  # of all operators' time, 0..1
    macs: int
    undelegated: int  # of the operators

    @property
    def macs_per_s(self) -> float:
        """Multiply-adds a second; 0 where there is nothing to multiply."""
        return self.macs / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Layers:
    """One file."""

    row: Row
    seconds: float  # of all operators together
    #: By kind if the file is a peer, else as follows.
    parts: tuple[Part, ...]  # by the first word of the module's name, in the network's order
    modules: tuple[Part, ...]  # by its first two, slowest first
    operators: tuple[OperatorTime, ...]  # the slowest, slowest first
    rest: int  # operators that are not listed
    rest_s: float


def layers(row: Row) -> Layers | None:
    """The operators of a row, grouped; None where the runtime gave none."""
    if not row.operators:
        return None
    ordered = sorted(row.operators, key=lambda each: -each.median_s)
    rest = ordered[LISTED:]
    parts, modules = (grouped(row, words) for words in (1, 2))
    return Layers(
        row,
        sum(each.median_s for each in row.operators),
        parts,
        tuple(sorted(modules, key=lambda part: -part.seconds)),
        tuple(ordered[:LISTED]),
        len(rest),
        sum(each.median_s for each in rest),
    )


def grouped(row: Row, words: int) -> tuple[Part, ...]:
    """Operators by the first `words` words of their modules' names, in order of appearance.

    Those of a peer by their kind: what its modules are called says nothing.
    """
    groups: dict[str, list[OperatorTime]] = {}
    for each in row.operators:
        name = each.kind if row.peer else ".".join(each.module.split(".")[:words])
        groups.setdefault(name or WHOLE, []).append(each)
    total = sum(each.median_s for each in row.operators)
    return tuple(
        Part(
            name,
            len(group),
            seconds := sum(each.median_s for each in group),
            seconds / total if total > 0 else 0.0,
            sum(each.macs for each in group),
            sum(not each.delegated for each in group),
        )
        for name, group in groups.items()
    )
