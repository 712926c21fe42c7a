"""Multiply-adds and modules of a file's operators, as `counting` has them, for a profile's rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.counting.files import counted_operators


@dataclass(frozen=True)
class Counted:
    """What a row of a profile takes from the count."""

    module: str = ""  # PyTorch module; "" for the network as a whole
    macs: int = 0


def counted_positions(path: Path, signature: str | None) -> dict[int, Counted]:
    """By position in the file's own list of operators; what runs only when loading is absent."""
    return {
        operator.position: Counted(operator.module, operator.macs or 0)
        for operator in counted_operators(path, signature)
    }


def counted_names(path: Path) -> dict[str, Counted]:
    """By the names of the operators and of all that they write."""
    found: dict[str, Counted] = {}
    for operator in counted_operators(path):
        counted = Counted(operator.module, operator.macs or 0)
        for name in (operator.name, *(tensor.name for tensor in operator.outputs)):
            found[name] = counted
    return found
