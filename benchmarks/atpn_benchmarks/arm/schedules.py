"""Which of LLVM's schedules stands for a core, and where it is known to be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What blocks may hold beside the base set: a borrowed schedule's own list may lack some.
FEATURES = "+dotprod,+fullfp16,+fp16fml,+rdm,+lse,+crc,+aes,+sha2,+rcpc"

#: An operand that is a whole vector of 128 bits.
WIDE = re.compile(r"\bv\d+\.(16b|8h|4s|2d)\b")

MEMORY = re.compile(r"(ld|st|prfm)")


@dataclass(frozen=True)
class Rewrite:
    """An instruction that the schedule gets wrong, and one that takes as long in truth."""

    pattern: str  # regular expression
    replacement: str


@dataclass(frozen=True)
class Schedule:
    """A schedule of LLVM, with what its core's documentation says otherwise."""

    model: str  # as -mcpu of llvm-mca
    rewrites: tuple[Rewrite, ...] = ()
    #: Most instructions on whole vectors in a cycle where the schedule allows more; 0: as it says.
    wide_a_cycle: int = 0

    def rewritten(self, text: str) -> str:
        """One instruction as llvm-mca gets it."""
        for rewrite in self.rewrites:
            text = re.sub(rewrite.pattern, rewrite.replacement, text)
        return text

    def least_cycles(self, texts: Iterable[str]) -> float:
        """Cycles that the instructions of a block take at least."""
        if not self.wide_a_cycle:
            return 0.0
        wide = sum(1 for text in texts if WIDE.search(text) and not MEMORY.match(text))
        return wide / self.wide_a_cycle


#: The Cortex-A55 and A53 advance an address while they load from it. LLVM counts that as a second
#: operation, and then never issues such a load beside an arithmetic instruction, which is what
#: the kernels for these cores are written for.
ADVANCING = (
    Rewrite(r"^((?:ld|st)\S*\s.*\]), (?:#-?\d+|x\d+)$", r"\1"),
    Rewrite(r"^((?:ld|st)\S*\s.*\])!$", r"\1"),
)

#: Their two vector pipes are 64 bits wide: a whole vector takes both. LLVM lets two pass.
IN_ORDER = Schedule("cortex-a55", ADVANCING, wide_a_cycle=1)

#: The A72 divides twice as fast as the A57, whose schedule LLVM takes for it.
DIVIDING = (
    Rewrite(r"^(fdiv\s+v\d+)\.4s, (v\d+)\.4s, (v\d+)\.4s$", r"\1.2s, \2.2s, \3.2s"),
    Rewrite(r"^(fdiv\s+v\d+)\.2d, (v\d+)\.2d, (v\d+)\.2d$", r"\1.2s, \2.2s, \3.2s"),
)

SCHEDULES = {
    # LLVM's own of the A53 expects 0.31 instructions a cycle of vector code; its successor's is
    # near, being in order and as wide.
    "cortex-a53": IN_ORDER,
    "cortex-a55": IN_ORDER,
    "cortex-a72": Schedule("cortex-a72", DIVIDING),
    # The same core, for servers; LLVM has no schedule of the A76.
    "cortex-a76": Schedule("neoverse-n1"),
}


def schedule_of(core: str) -> Schedule:
    """The schedule of a core by its name."""
    return SCHEDULES[core]
