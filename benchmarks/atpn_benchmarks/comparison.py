"""What changed from one run to another: times beside what did not change, and every other fact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from atpn_benchmarks.fact_changes import FactChange, fact_changes
from atpn_benchmarks.latency import Ratio
from atpn_benchmarks.movement import ASSUMED_ALONE, ASSUMED_BESIDE, RunToRun, beside, measured
from atpn_benchmarks.pairing import NotCompared, Pair, paired
from atpn_benchmarks.results import Machine, Run
from atpn_deploy.errors import ResultsError
from atpn_exporters.tables import plural

#: What `relative_to` can say instead of a row's name.
UNCHANGED = "unchanged"
NOTHING = "nothing"
#: Rows have moved alike if their mean moved by more than this share and by three times what they
#: are scattered round it; of fewer rows nothing is said.
ALIKE = 0.03
ALIKE_ROWS = 3
#: A clock that differs by more than this share is told.
CLOCK = 0.05


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    source: str  # file or id, as it was given
    id: str
    started_at: str
    version: str


@dataclass(frozen=True)
class Change:
    """The median of one file on one number of threads, then and now."""

    name: str
    title: str
    threads: int
    peer: bool
    same_file: bool  # by its sha256
    old_p50_s: float
    new_p50_s: float
    #: New over old, divided by the reference's; None where the file itself is the reference.
    ratio: Ratio | None

    @property
    def verdict(self) -> Literal["slower", "faster", ""]:
        """What its interval says; "" if the change can't be told apart from noise."""
        if self.ratio is None or self.ratio.low <= 1.0 <= self.ratio.high:
            return ""
        return "slower" if self.ratio.low > 1.0 else "faster"


@dataclass(frozen=True)
class Reference:
    """What was divided out on one number of threads, and what a file moves of its own."""

    threads: int
    names: tuple[str, ...]  # of files; empty if nothing was
    moved: float  # new over old of their mean; 1.0 if nothing was
    run_to_run: RunToRun


@dataclass(frozen=True)
class Comparison:
    """Two runs on one kind of machine, row by row."""

    old: Side
    new: Side
    machine: Machine
    references: tuple[Reference, ...]  # by threads
    changes: tuple[Change, ...]  # in the order of the new run
    not_compared: tuple[NotCompared, ...]
    facts: tuple[FactChange, ...]
    only_old: tuple[str, ...]  # names of rows
    only_new: tuple[str, ...]
    warnings: tuple[str, ...]


def compare(
    old: Run,
    new: Run,
    *,
    sources: tuple[str, str] = ("the first run", "the second"),
    relative_to: str | None = None,
    run_to_run: float | None = None,
) -> Comparison:
    """Hold two runs against each other.

    `relative_to` is the name of a row, "unchanged" (the mean of the files that are the same in
    both) or "nothing"; None is "unchanged" where there is such a file and else "nothing".
    `run_to_run` is the standard deviation, as a share, by which a file that did not change moves;
    None measures it on unchanged files or assumes it. ResultsError if the machines differ or the
    row to divide by can't be compared itself.
    """
    _same_machine(old.machine, new.machine, sources)
    pairs, refused = paired(old, new)
    references: list[Reference] = []
    changes: dict[tuple[str, int], Change] = {}
    for threads in sorted({pair.threads for pair in pairs}):
        group = {pair.row.name: pair for pair in pairs if pair.threads == threads}
        names = _divided_out(group, relative_to, threads)
        references.append(_reference(group, names, threads, run_to_run))
        for name in group:
            changes[name, threads] = _change(group, name, names, run_to_run)
    ordered = tuple(changes[pair.row.name, pair.threads] for pair in pairs)
    both = [(before, row) for row in new.rows if (before := old.row(row.name))]
    return Comparison(
        Side(sources[0], old.id, old.started_at, old.version),
        Side(sources[1], new.id, new.started_at, new.version),
        new.machine,
        tuple(references),
        ordered,
        tuple(refused),
        tuple(fact for before, row in both for fact in fact_changes(before, row)),
        tuple(row.name for row in old.rows if new.row(row.name) is None),
        tuple(row.name for row in new.rows if old.row(row.name) is None),
        (*_circumstances(old, new), *_doubts(references, ordered)),
    )


def _same_machine(old: Machine, new: Machine, sources: tuple[str, str]) -> None:
    """ResultsError that names what differs, in one line."""
    boards_differ = bool(old.board and new.board) and old.board != new.board
    if old.identity == new.identity and not boards_differ:
        return
    told = [
        f"{field} {before or 'unknown'} and {after or 'unknown'}"
        for field, before, after in (
            ("cpu", old.cpu, new.cpu),
            ("architecture", old.architecture, new.architecture),
            ("cores", old.cores, new.cores),
            ("board", old.board, new.board),
        )
        if before != after
    ]
    for some, others, source in ((old, new, sources[0]), (new, old, sources[1])):
        if alone := sorted(set(some.features) - set(others.features)):
            told.append(f"{', '.join(alone)} in {source} alone")
    raise ResultsError(
        f"{sources[0]} and {sources[1]} are of two machines ({'; '.join(told)}), whose times can't "
        "be compared: measure both on one"
    )


def _divided_out(
    group: Mapping[str, Pair], relative_to: str | None, threads: int
) -> tuple[str, ...]:
    """The rows whose mean is divided out on so many threads."""
    if relative_to == NOTHING:
        return ()
    if relative_to not in (None, UNCHANGED):
        if relative_to not in group:
            raise ResultsError(
                f"--relative-to {relative_to}: no such row is validly timed in both runs on "
                f"{plural(threads, 'thread')}; there are {', '.join(group)}"
            )
        return (relative_to,)
    unchanged = tuple(name for name, pair in group.items() if pair.unchanged)
    if relative_to == UNCHANGED and not unchanged:
        raise ResultsError(
            f"--relative-to {UNCHANGED}: no file on {plural(threads, 'thread')} is the same in "
            f"both runs; give the name of one: {', '.join(group)}"
        )
    return unchanged


def _reference(
    group: Mapping[str, Pair], names: tuple[str, ...], threads: int, given: float | None
) -> Reference:
    moves = [group[name].move.value for name in names]
    moved = math.exp(sum(moves) / len(moves)) if moves else 1.0
    return Reference(threads, names, moved, _run_to_run(group, names, "", given))


def _change(
    group: Mapping[str, Pair], name: str, names: tuple[str, ...], given: float | None
) -> Change:
    """One file beside the reference, to which it does not count itself."""
    pair = group[name]
    others = [group[other].move for other in names if other != name]
    itself = bool(names) and not others
    ratio = None if itself else beside(pair.move, others, _run_to_run(group, names, name, given))
    return Change(
        name,
        pair.row.title,
        pair.threads,
        pair.row.peer,
        pair.same_file,
        pair.move.old_p50_s,
        pair.move.new_p50_s,
        ratio,
    )


def _run_to_run(
    group: Mapping[str, Pair], names: Sequence[str], but: str, given: float | None
) -> RunToRun:
    """What files move of their own, as the other files say it."""
    if given is not None:
        return RunToRun(given, "given")
    if not names:  # how far a machine moves as a whole can't be seen in one pair of runs
        return RunToRun(ASSUMED_ALONE, "assumed")
    unchanged = [pair.move for name, pair in group.items() if pair.unchanged and name != but]
    return measured(unchanged) or RunToRun(ASSUMED_BESIDE, "assumed")


def _circumstances(old: Run, new: Run) -> list[str]:
    """What was different about the two runs beside their files."""
    told = ["both are the same run"] if old.id == new.id else []
    for what, before, after in (
        ("the core pinned to", _cores(old), _cores(new)),
        ("the governor", old.before.governor, new.before.governor),
        ("the system", old.machine.system, new.machine.system),
        ("Python", old.machine.python, new.machine.python),
        ("the C library", old.machine.libc, new.machine.libc),
        ("atpn-deploy", old.version, new.version),
    ):
        if before != after:
            told.append(f"{what} was {before or 'unknown'} and is {after or 'unknown'}")
    then, now = old.before.frequency_hz, new.before.frequency_hz
    if then and now and abs(math.log(now / then)) > math.log(1 + CLOCK):
        told.append(f"the clock was {then / 1e9:.2f} GHz and is {now / 1e9:.2f} GHz")
    return told


def _cores(run: Run) -> str:
    """Those that a process is pinned to: a phone's are not alike."""
    return " ".join(map(str, run.settings.cores))


def _doubts(references: Sequence[Reference], changes: Sequence[Change]) -> list[str]:
    """Why the ratios may say something of the machine instead of the files."""
    told = []
    for reference in references:
        mine = [change for change in changes if change.threads == reference.threads]
        on = f"on {plural(reference.threads, 'thread')}"
        if not reference.names:
            told += _alike(mine, on)
        else:
            told += [
                f"{change.name}, which the ratios {on} are relative to, is not the same file"
                for change in mine
                if change.ratio is None and not change.same_file
            ]
    return told


def _alike(changes: Sequence[Change], on: str) -> list[str]:
    """The sentence for rows that all moved alike, with nothing divided out."""
    moves = [math.log(change.new_p50_s / change.old_p50_s) for change in changes]
    if len(moves) < ALIKE_ROWS:
        return []
    mean = sum(moves) / len(moves)
    scatter = math.sqrt(sum((move - mean) ** 2 for move in moves) / (len(moves) - 1))
    if abs(mean) <= max(ALIKE, 3 * scatter):
        return []
    return [
        f"all {len(moves)} rows {on} moved alike, by {math.expm1(mean):+.1%}: that is rather the "
        "machine than the files; --relative-to NAME divides it out"
    ]
