"""Which timings of two runs can be held against each other, and why the others can't."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_benchmarks.movement import Move, move_of
from atpn_benchmarks.results import Row, Run, Timing


@dataclass(frozen=True)
class Pair:
    """One file on one number of threads, validly timed in both runs."""

    old_row: Row
    row: Row
    threads: int
    move: Move

    @property
    def same_file(self) -> bool:
        """Whether both runs timed the same bytes."""
        return self.row.sha256 != "" and self.row.sha256 == self.old_row.sha256

    @property
    def unchanged(self) -> bool:
        """Whether both runs timed the same bytes on the same kernels."""
        return self.same_file and _kernels(self.old_row) == _kernels(self.row)


@dataclass(frozen=True)
class NotCompared:
    """A file whose times can't be held against each other, with the reason in a sentence."""

    name: str
    threads: int
    peer: bool
    before: bool  # whether the first run measured it at all, so that it is missed
    reason: str


def paired(old: Run, new: Run) -> tuple[list[Pair], list[NotCompared]]:
    """By row and threads: what can be compared, and what can't.

    Rows that neither run has timed are in neither list, nor are those of the new run alone.
    """
    pairs, refused = [], []
    for row in new.rows:
        before = old.row(row.name)
        if before is None:
            continue
        for threads in sorted({t.threads for t in (*before.timings, *row.timings)}):
            then, now = before.timing(threads), row.timing(threads)
            reason = _unfit(before, then, "first") or _unfit(row, now, "second")
            if then is None or now is None or reason:
                refused.append(NotCompared(row.name, threads, row.peer, then is not None, reason))
            else:
                pairs.append(Pair(before, row, threads, move_of(then, now)))
    missing = [row for row in old.rows if new.row(row.name) is None]
    refused += [
        NotCompared(row.name, timing.threads, row.peer, True, "not in the second run")
        for row in missing
        for timing in row.timings
    ]
    return pairs, refused


def _unfit(row: Row, timing: Timing | None, which: str) -> str:
    """Why this timing can't be compared; "" if it can."""
    if row.state != "timed":
        return f"{row.state} in the {which} run: {row.reason}"
    if timing is None:
        return f"not measured on so many threads in the {which} run"
    if not timing.valid or not timing.wall_s:
        return f"without valid samples in the {which} run"
    return ""


def _kernels(row: Row) -> tuple[str, str]:
    return row.runtime, row.kernel_family
