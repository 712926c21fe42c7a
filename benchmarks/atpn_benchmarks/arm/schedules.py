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


#: The Cortex-A55 advances an address while it loads from it, and issues arithmetic beside it: the
#: kernels written for it rest on that. LLVM counts two operations, which then go alone.
ADVANCING = (
    Rewrite(r"^((?:ld|st)\S*\s.*\]), (?:#-?\d+|x\d+)$", r"\1"),
    Rewrite(r"^((?:ld|st)\S*\s.*\])!$", r"\1"),
)

#: The A72 divides twice as fast as the A57, whose schedule LLVM takes for it.
DIVIDING = (
    Rewrite(r"^(fdiv\s+v\d+)\.4s, (v\d+)\.4s, (v\d+)\.4s$", r"\1.2s, \2.2s, \3.2s"),
    Rewrite(r"^(fdiv\s+v\d+)\.2d, (v\d+)\.2d, (v\d+)\.2d$", r"\1.2s, \2.2s, \3.2s"),
)

#: By core. Where LLVM has no schedule of a core, or one that is far off, the table of published
#: latencies chose among those of its relatives; docs/arm-estimates.md has the errors of each.
SCHEDULES = {
    # LLVM's own of the A53 expects 0.31 vector instructions a cycle. The A55, its successor, is in
    # order and as wide; both have two vector pipes of 64 bits, and a whole vector takes the two.
    "cortex-a53": Schedule("cortex-a55", wide_a_cycle=1),
    # LLVM's own of the A55 halves the pace of dot products and advancing loads. The A510, its
    # successor, is in order too, and nearer.
    "cortex-a55": Schedule("cortex-a510", ADVANCING, wide_a_cycle=1),
    "cortex-a72": Schedule("cortex-a72", DIVIDING),
    # The same core, for servers; LLVM has no schedule of the A76.
    "cortex-a76": Schedule("neoverse-n1"),
}


def schedule_of(core: str) -> Schedule:
    """The schedule of a core by its name."""
    return SCHEDULES[core]
