"""What a target's arithmetic does to a network: a field of its record, which the linter reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A row of operators that some hardware of this target computes wrongly, and who says so."""

    chain: tuple[str, ...]  # kinds of operators, each reading the one before
    rank: int  # of the tensor between them
    fact: str  # a sentence with its source


@dataclass(frozen=True)
class Arithmetic:
    """How a target computes; operators by the kinds of `tracing.KINDS`."""

    #: Activations are 8-bit integers with one scale a tensor, biases 32-bit integers.
    int8: bool = False
    #: Activations are float16.
    half: bool = False
    #: Kinds without an int8 kernel in the runtime.
    no_int8_kernel: frozenset[str] = frozenset()
    #: What becomes of those, as the end of a sentence.
    instead: str = ""
    faults: tuple[Fault, ...] = ()
    #: TRANSPOSE operators that a file of this format cannot do without.
    transposes: int = 0
