"""What one inference executes on an emulated core; never a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheCounts:
    """Accesses of one inference to simulated data caches, which the one before it has filled."""

    loads: int
    stores: int
    l1_misses: int
    l2_misses: int


@dataclass(frozen=True)
class OperatorCount:
    """One operator of a graph as the runtime's own profiler shows it."""

    name: str  # as the runtime or the file calls it
    kind: str  # operator type: "Conv", "CONV_2D"
    module: str  # PyTorch module that it belongs to; "" for the network as a whole
    instructions: int
    macs: int = 0


@dataclass(frozen=True)
class InstructionCounts:
    """One inference on one thread, the Python call that starts it included."""

    core: str  # cortex-a76
    instructions: int
    #: By what they do, in the order of `instruction_classes.CLASSES`; they sum to `instructions`.
    by_class: dict[str, int]
    #: By how much of itself the count of a second inference differs; at most `MOST_SPREAD`.
    spread: float
    caches: CacheCounts | None = None  # only where they were asked for: simulating them is slow
    operators: tuple[OperatorCount, ...] = ()

    @property
    def vector_share(self) -> float:
        """Of all instructions, those on the vector registers, 0..1."""
        vector = sum(count for name, count in self.by_class.items() if name in VECTOR)
        return vector / self.instructions if self.instructions else 0.0


#: Classes of instructions on the vector registers.
VECTOR = (
    *("dot product", "multiply-add", "vector multiply", "vector"),
    *("vector load", "vector store"),
)

#: Two inferences of one run may differ by so much of the first.
MOST_SPREAD = 1e-3
