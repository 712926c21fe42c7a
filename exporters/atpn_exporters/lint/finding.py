"""A rule of the linter, what it is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.lint.evidence import Evidence


@dataclass(frozen=True)
class Case:
    """One network for one target."""

    evidence: Evidence
    arithmetic: Arithmetic
    transposes: int | None = None  # in the target's float graph; None if that was not converted


@dataclass(frozen=True)
class Spot:
    """One place where a rule is broken."""

    module: str  # PyTorch's path; empty for the whole graph
    measured: float
    unit: str
    note: str  # the measured value in words


@dataclass(frozen=True)
class Rule:
    """One thing that hurts, why, and what to do about it."""

    id: str
    name: str
    sentence: str
    fix: str
    check: Callable[[Case], Iterable[Spot]]


@dataclass(frozen=True)
class Finding:
    """All places where one rule is broken, the worst first."""

    rule: str
    name: str
    sentence: str
    fix: str
    spots: tuple[Spot, ...]

    @property
    def line(self) -> str:
        """One line for a report."""
        worst = self.spots[0]
        more = f" and {len(self.spots) - 1} more" if len(self.spots) > 1 else ""
        return f"{self.rule} {self.name}: {worst.module or 'the graph'}: {worst.note}{more}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Finding:
        """Read `to_dict` back."""
        return cls(**{**values, "spots": tuple(Spot(**spot) for spot in values["spots"])})


def broken(rules: Sequence[Rule], case: Case) -> tuple[Finding, ...]:
    """The rules that a network breaks on a target, in the order of the rules."""
    findings = []
    for rule in rules:
        spots = sorted(rule.check(case), key=lambda spot: -spot.measured)
        if spots:
            findings.append(Finding(rule.id, rule.name, rule.sentence, rule.fix, tuple(spots)))
    return tuple(findings)
