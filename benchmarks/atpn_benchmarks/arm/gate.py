"""Whether a build may pass: does a file take more instructions than was agreed to?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atpn_benchmarks.arm.baseline import WRITE, Taken
from atpn_benchmarks.results import Row
from atpn_deploy.errors import ResultsError

PASSED, GREW, UNSURE = 0, 1, 3

#: Operators that a message names; the first say enough.
NAMED = 5


@dataclass(frozen=True)
class Change:
    """One file, then and now."""

    name: str
    before: Taken
    after: Taken

    @property
    def growth(self) -> float:
        """More instructions, as a share of those before; below 0 for fewer."""
        return (self.after.instructions - self.before.instructions) / self.before.instructions

    @property
    def added(self) -> dict[str, int]:
        """Operators that the graph has more of, by label."""
        return _more(self.before.operators, self.after.operators)

    @property
    def removed(self) -> dict[str, int]:
        """Operators that the graph has fewer of, by label."""
        return _more(self.after.operators, self.before.operators)

    @property
    def sentence(self) -> str:
        """What changed, where, and what may be behind it."""
        size = f"{self.growth:+.2%}".replace("%", " %")
        told = [
            f"{self.name}: {size} instructions, {self.before.instructions:,} before and "
            f"{self.after.instructions:,} now"
        ]
        if self.before.sha256 != self.after.sha256:
            told.append("the file is another one")
        if self.added:
            told.append(f"its graph has more of: {_listed(self.added)}")
        if self.removed:
            told.append(f"and fewer of: {_listed(self.removed)}")
        if self.before.runtime != self.after.runtime:
            told.append(f"{self.before.runtime} ran it before, {self.after.runtime} now")
        if self.before.kernel_family != self.after.kernel_family:
            told.append(f"kernels {self.before.kernel_family}, now {self.after.kernel_family}")
        if kind := self._grown_class():
            told.append(kind)
        return "; ".join(told)

    def _grown_class(self) -> str:
        """The class of instructions that there are most more of."""
        more = {
            kind: count - self.before.by_class.get(kind, 0)
            for kind, count in self.after.by_class.items()
        }
        kind = max(more, key=lambda name: more[name], default="")
        return f"most more of the class {kind!r}: {more[kind]:+,}" if more.get(kind, 0) > 0 else ""


@dataclass(frozen=True)
class Gate:
    """The verdict on all files of a core."""

    core: str
    limit: float  # as a share: 0.01
    grew: tuple[Change, ...]  # by more than the limit, the worst first
    others: tuple[Change, ...]
    unsure: tuple[str, ...]  # files that can't be judged, each in a sentence
    new: tuple[str, ...]  # names of files that the baseline does not hold

    @property
    def exit_status(self) -> int:
        """0 no file grew, 1 one did, 3 it can't be told of one."""
        return GREW if self.grew else UNSURE if self.unsure else PASSED

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print: every file that grew, what can't be told, what stands in no baseline."""
        told = [f"more instructions on {self.core}: {change.sentence}" for change in self.grew]
        told += [f"can't be judged on {self.core}: {sentence}" for sentence in self.unsure]
        if self.new:
            told.append(f"not in the baseline: {', '.join(self.new)}; {WRITE} puts them in")
        return tuple(told)


def judge(
    core: str,
    before: Mapping[str, Taken],
    rows: Sequence[Row],
    now: Mapping[str, Taken],
    limit: float,
    *,
    complete: bool = True,
) -> Gate:
    """Hold every row of ours against the baseline; ResultsError if there is none to judge.

    A file is compared by its name: an export of the same name with other bytes is what a change
    of the exporter looks like. `now` has what the rows took; `complete` says that the run was of
    all files, so that one that the baseline holds and the run does not is missed.
    """
    if not limit > 0:
        raise ResultsError(f"a limit above 0 was expected, got {limit}")
    ours = {row.name: row for row in rows if not row.peer}
    changes = [Change(name, before[name], now[name]) for name in now if name in before]
    unsure = [
        f"{name}: {ours[name].state}: {ours[name].reason}"
        for name in ours
        if name in before and name not in now
    ]
    if complete:
        unsure += [f"{name}: it was not run" for name in before if name not in ours]
    if not changes and not unsure:
        raise ResultsError("nothing to judge: none of the files stands in the baseline")
    grew = [change for change in changes if not change.growth <= limit]
    return Gate(
        core,
        limit,
        tuple(sorted(grew, key=lambda change: -change.growth)),
        tuple(change for change in changes if change not in grew),
        tuple(unsure),
        tuple(name for name in now if name not in before),
    )


def _more(few: Mapping[str, int], many: Mapping[str, int]) -> dict[str, int]:
    """What `many` holds more of; nothing where one of both is unknown."""
    if not few or not many:
        return {}
    return {
        label: count - few.get(label, 0)
        for label, count in many.items()
        if count > few.get(label, 0)
    }


def _listed(labels: Mapping[str, int]) -> str:
    named = [f"{count} x {label}" for label, count in list(labels.items())[:NAMED]]
    left = len(labels) - len(named)
    return ", ".join(named) + (f" and {left} more" if left > 0 else "")
