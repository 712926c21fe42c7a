"""What the measuring cores did meanwhile: the share of them that others took."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")

#: Columns of a core's line in /proc/stat: user, nice, system, irq, softirq; and steal.
_BUSY = (0, 1, 2, 5, 6)
_STEAL = 7


@dataclass(frozen=True)
class CoreClock:
    """One reading; two of them tell what was between."""

    at_s: float  # monotonic
    cores: int  # how many were found; 0 where the system tells nothing
    busy_s: float  # of all of them together, since boot
    steal_s: float  # in which the host of a virtual machine ran others on them

    def load_since(self, before: CoreClock, own_s: float) -> float | None:
        """Share of these cores that others used since, 0..1 of one core each; None is unknown.

        `own_s` are the processor seconds of what was measured.
        """
        passed_s = (self.at_s - before.at_s) * self.cores
        if passed_s <= 0 or self.cores != before.cores:
            return None
        others_s = self.busy_s - before.busy_s - own_s + self.steal_s - before.steal_s
        return min(1.0, max(0.0, others_s / passed_s))


def core_clock(cores: Sequence[int], root: Path = _ROOT) -> CoreClock:
    """Read the clock of some cores.

    The kernel counts in hundredths of a second: two readings are good for spans of seconds.
    """
    at_s = time.monotonic()
    try:
        lines = (root / "proc/stat").read_text().splitlines()
    except OSError:  # not Linux, or a phone that hides it
        lines = []
    wanted = {f"cpu{core}" for core in cores}
    found = [line.split()[1:] for line in lines if line.partition(" ")[0] in wanted]
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    busy = sum(int(columns[index]) for columns in found for index in _BUSY)
    steal = sum(int(columns[_STEAL]) for columns in found if len(columns) > _STEAL)
    return CoreClock(at_s, len(found), busy / ticks_per_s, steal / ticks_per_s)
