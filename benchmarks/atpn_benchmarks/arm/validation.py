"""How well cycles foretell milliseconds: fits on a published table, each network left out once."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from atpn_benchmarks.arm.boards import BOARDS, Board
from atpn_deploy.errors import ArmError

FOLDER = Path(__file__).with_name("published")
PUBLISHED = FOLDER / "ncnn_one_thread.csv"
#: Networks that no factor is fitted to and no choice was made by: how the fits fare beyond theirs.
OTHERS = FOLDER / "ncnn_other_networks.csv"
CYCLES = FOLDER / "ncnn_cycles.csv"

#: What a board's leave-one-out errors may be at most for the model to be trusted.
MOST_MEAN = 0.10
MOST_WORST = 0.30

#: A factor fitted to fewer networks says nothing of the next one.
FEWEST = 3


@dataclass(frozen=True)
class Published:
    """A latency that somebody measured on a board, on one thread."""

    board: str
    network: str
    milliseconds: float
    runtime: str  # the release that it is counted with: of about that time
    source: str


@dataclass(frozen=True)
class Executed:
    """What one inference of a network takes on an emulated core."""

    core: str
    network: str
    runtime: str  # "ncnn 1.0.20261020"
    instructions: int
    cycles: float


@dataclass(frozen=True)
class LeftOut:
    """One network, estimated by a factor that was fitted to all the others."""

    network: str
    published: float  # milliseconds
    estimated: float

    @property
    def error(self) -> float:
        """As a share of what was published; positive where too much was estimated."""
        return (self.estimated - self.published) / self.published


@dataclass(frozen=True)
class Fit:
    """One board: milliseconds = alpha * cycles / frequency."""

    board: Board
    alpha: float  # fitted to all networks
    left_out: tuple[LeftOut, ...]

    @property
    def mean_error(self) -> float:
        """Mean size of the errors, as a share."""
        return sum(abs(one.error) for one in self.left_out) / len(self.left_out)

    @property
    def worst(self) -> LeftOut:
        """The network with the largest error."""
        return max(self.left_out, key=lambda one: abs(one.error))

    @property
    def band(self) -> tuple[float, float]:
        """The least and the most that was published, in estimates: around 1."""
        ratios = [one.published / one.estimated for one in self.left_out]
        return min(ratios), max(ratios)

    @property
    def good(self) -> bool:
        """Whether both errors are within what is asked for."""
        return self.mean_error <= MOST_MEAN and abs(self.worst.error) <= MOST_WORST


def fitted(board: Board, published: Mapping[str, float], cycles: Mapping[str, float]) -> Fit:
    """Fit a board's factor to the networks that are in both; ArmError if they are too few.

    `published` in milliseconds. The factor is the geometric mean of the networks' own factors, so
    that twice too much and half too little weigh the same.
    """
    shared = [network for network in published if network in cycles]
    if len(shared) < FEWEST:
        raise ArmError(
            f"{board.title}: {len(shared)} networks have both a published latency and cycles; "
            f"a fit needs {FEWEST}"
        )
    unscaled = {network: cycles[network] / board.gigahertz / 1e6 for network in shared}
    logs = {network: math.log(published[network] / unscaled[network]) for network in shared}
    left_out = tuple(
        LeftOut(
            network,
            published[network],
            unscaled[network] * _mean_factor([logs[other] for other in shared if other != network]),
        )
        for network in shared
    )
    return Fit(board, _mean_factor(list(logs.values())), left_out)


def _mean_factor(logs: Sequence[float]) -> float:
    return math.exp(sum(logs) / len(logs))


def validate(published: Sequence[Published], executed: Sequence[Executed]) -> tuple[Fit, ...]:
    """A fit for each board that there is anything published of."""
    fits = []
    for board in BOARDS:
        rows = [p for p in published if p.board == board.name]
        wanted = {(p.network, p.runtime) for p in rows}
        cycles = {
            e.network: e.cycles
            for e in executed
            if e.core == board.core and (e.network, e.runtime) in wanted
        }
        if rows:
            fits.append(fitted(board, {p.network: p.milliseconds for p in rows}, cycles))
    return tuple(fits)


def others(
    fits: Sequence[Fit], published: Sequence[Published], executed: Sequence[Executed]
) -> dict[str, tuple[LeftOut, ...]]:
    """By board, networks that stand in no fit, estimated by the board's factor."""
    cycles = {(e.core, e.network, e.runtime): e.cycles for e in executed}
    found = {}
    for fit in fits:
        rows = [p for p in published if p.board == fit.board.name]
        found[fit.board.name] = tuple(
            LeftOut(p.network, p.milliseconds, fit.alpha * cycles[key] / fit.board.gigahertz / 1e6)
            for p in rows
            if (key := (fit.board.core, p.network, p.runtime)) in cycles
        )
    return {board: estimated for board, estimated in found.items() if estimated}


@cache
def fits() -> tuple[Fit, ...]:
    """The fits on the tables that come with this package."""
    return validate(read_published(PUBLISHED), read_executed(CYCLES))


def read_published(path: Path) -> tuple[Published, ...]:
    """Read a table of published latencies; ArmError if it is none."""
    return tuple(
        Published(row["board"], row["network"], number, row["counted_with"], row["source"])
        for row, number in _rows(path, "milliseconds")
    )


def read_executed(path: Path) -> tuple[Executed, ...]:
    """Read a table of measured cycles; ArmError if it is none."""
    return tuple(
        Executed(row["core"], row["network"], row["runtime"], int(row["instructions"]), number)
        for row, number in _rows(path, "cycles")
    )


def write_executed(path: Path, executed: Sequence[Executed]) -> None:
    """Write a table of measured cycles, sorted, so that two of them can be compared."""
    try:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("core", "network", "runtime", "instructions", "cycles"))
            for one in sorted(executed, key=lambda one: (one.core, one.runtime, one.network)):
                cells = (one.core, one.network, one.runtime, one.instructions, f"{one.cycles:.0f}")
                writer.writerow(cells)
    except OSError as error:
        raise ArmError(f"cannot write {path}: {error.strerror}") from error


def _rows(path: Path, column: str) -> list[tuple[dict[str, str], float]]:
    """The rows of a CSV file with the number above 0 in one of its columns."""
    try:
        with path.open(newline="") as file:
            rows = [(row, float(row[column])) for row in csv.DictReader(file)]
    except OSError as error:
        raise ArmError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ArmError(f"{path} is no such table: no number under {column}") from error
    if not rows or not all(0 < number < math.inf for _, number in rows):
        raise ArmError(f"{path} needs numbers above 0 under {column}, in at least one row")
    return rows
