"""Every run on this computer, in one SQLite file: the run as JSON, and its facts to search by."""

from __future__ import annotations

import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path

from atpn_benchmarks.results import Machine, Run
from atpn_benchmarks.results_file import read_run, run_of, run_text
from atpn_deploy import __version__
from atpn_deploy.errors import ResultsError
from atpn_exporters.tables import plural

#: Marks the file as ours ("ATPN"), so that a database of something else is never written to.
APPLICATION_ID = 0x4154504E
#: Seconds to wait for another process that is writing.
PATIENCE_S = 30.0
#: What to do about a file that can't be used.
ELSEWHERE = "move it away, or name another by --history or ATPN_BENCH_HISTORY"

#: From one version of the tables to the next; `PRAGMA user_version` says how many were taken.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY,
            started_at TEXT NOT NULL,
            device TEXT NOT NULL,
            machine TEXT NOT NULL, -- as `machine_text` writes what makes two machines one kind
            version TEXT NOT NULL, -- of atpn-deploy
            rows INTEGER NOT NULL,
            timed INTEGER NOT NULL, -- of them, or counted
            run BLOB NOT NULL -- JSON, compressed by zlib: it holds every sample
        ) STRICT""",
        """CREATE TABLE figures (
            run TEXT NOT NULL REFERENCES runs (id),
            name TEXT NOT NULL, -- of the row
            sha256 TEXT NOT NULL,
            target TEXT NOT NULL,
            state TEXT NOT NULL,
            valid INTEGER NOT NULL,
            threads INTEGER NOT NULL,
            p50_s REAL NOT NULL,
            p50_low_s REAL NOT NULL,
            p50_high_s REAL NOT NULL,
            PRIMARY KEY (run, name, threads)
        ) STRICT""",
        "CREATE INDEX runs_by_time ON runs (started_at)",
        "CREATE INDEX figures_by_file ON figures (name, threads)",
        "CREATE INDEX figures_by_hash ON figures (sha256)",
    ),
)


@dataclass(frozen=True)
class Entry:
    """One run of the history, without its samples."""

    id: str
    started_at: str  # ISO 8601, UTC
    device: str
    machine: str
    version: str
    rows: int
    timed: int  # of them, or counted on an emulated core


@dataclass(frozen=True)
class Figure:
    """One file on one number of threads in one run."""

    run: str
    started_at: str
    device: str
    machine: str
    version: str
    sha256: str
    state: str
    valid: bool
    threads: int
    p50_s: float
    p50_low_s: float
    p50_high_s: float


def default_path() -> Path:
    """ATPN_BENCH_HISTORY, else atpn-deploy/bench.sqlite where the system keeps such state."""
    if named := os.environ.get("ATPN_BENCH_HISTORY"):
        return Path(named).expanduser()
    state = os.environ.get("XDG_STATE_HOME", "")
    # The standard says that a relative path in it is to be ignored.
    folder = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return folder / "atpn-deploy" / "bench.sqlite"


def machine_text(machine: Machine) -> str:
    """What makes two machines one kind, as `results.Machine.identity` has it."""
    return f"{machine.cpu}, {machine.architecture}, {machine.cores} cores, " + " ".join(
        machine.features
    )


class History:
    """The runs in one file, oldest first. ResultsError names the file and leaves it as it is."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def append(self, run: Run) -> None:
        """Add a run, or do nothing if it is there; whole or not at all, whoever else writes."""
        packed = zlib.compress(run_text(run).encode())
        with self._open(create=True) as base:
            known = base.execute("SELECT run FROM runs WHERE id = ?", (run.id,)).fetchone()
            if known and known[0] != packed:
                raise ResultsError(f"{self.path} holds another run with the id {run.id}")
            if not known:
                _insert(base, run, packed)

    def entries(self) -> list[Entry]:
        """Every run."""
        with self._open() as base:
            found = base.execute(
                "SELECT id, started_at, device, machine, version, rows, timed FROM runs "
                "ORDER BY started_at, id"
            )
            return [Entry(*row) for row in found]

    def figures(self, name: str) -> list[Figure]:
        """What each run has of the row of that name, on every number of threads."""
        with self._open() as base:
            found = base.execute(
                "SELECT runs.id, started_at, device, machine, version, sha256, state, valid, "
                "threads, p50_s, p50_low_s, p50_high_s "
                "FROM figures JOIN runs ON runs.id = figures.run "
                "WHERE name = ? ORDER BY started_at, runs.id, threads",
                (name,),
            )
            return [replace(figure, valid=bool(figure.valid)) for figure in starmap(Figure, found)]

    def names(self) -> list[str]:
        """Every row that was ever timed."""
        with self._open() as base:
            return [row[0] for row in base.execute("SELECT DISTINCT name FROM figures ORDER BY 1")]

    def load(self, wanted: str) -> Run:
        """The run with this id, or the only one that begins so; "last", "last~1" count back."""
        ids = [entry.id for entry in self.entries()]
        chosen = _chosen(wanted, ids, self.path)
        with self._open() as base:
            packed = base.execute("SELECT run FROM runs WHERE id = ?", (chosen,)).fetchone()[0]
        try:
            text = zlib.decompress(packed)
        except zlib.error as error:
            raise ResultsError(f"{self.path}: run {chosen} is damaged ({error})") from error
        return run_of(text, f"{self.path}: run {chosen}")

    @contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, with the tables in today's form; an empty base in memory if none is."""
        if not create and not self.path.exists():
            with closing(_connected(":memory:")) as base:
                _migrate(base, self.path)
                yield base
            return
        try:
            if create:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(_connected(self.path)) as base:
                _migrate(base, self.path)
                base.execute("BEGIN IMMEDIATE" if create else "BEGIN")
                yield base
                base.execute("COMMIT")  # left out, by an error, it is rolled back
        except OSError as error:
            raise ResultsError(f"cannot write {self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise ResultsError(_explained(self.path, error)) from error


def _connected(place: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(place, timeout=PATIENCE_S, isolation_level=None)


def _migrate(base: sqlite3.Connection, path: Path) -> None:
    """Bring the tables to today's form, made from nothing where there are none."""
    if _version(base, path) == len(STEPS):
        return
    base.execute("BEGIN IMMEDIATE")
    version = _version(base, path)  # another process may have done it meanwhile
    for step in STEPS[version:]:
        for statement in step:
            base.execute(statement)
    base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    base.execute(f"PRAGMA user_version = {len(STEPS)}")
    base.execute("COMMIT")


def _version(base: sqlite3.Connection, path: Path) -> int:
    """How many steps the tables have taken; ResultsError if they are not ours or too new."""
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    mark = int(base.execute("PRAGMA application_id").fetchone()[0])
    empty = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if mark != APPLICATION_ID and not (empty and version == mark == 0):
        raise ResultsError(f"{path} is a database of something else: {ELSEWHERE}")
    if version > len(STEPS):
        raise ResultsError(
            f"{path} is a history of version {version}, this atpn-deploy {__version__} knows up to "
            f"{len(STEPS)}: update it, or {ELSEWHERE}"
        )
    return version


def _insert(base: sqlite3.Connection, run: Run, packed: bytes) -> None:
    timed = sum(row.state in ("timed", "counted") for row in run.rows)
    machine = machine_text(run.machine)
    base.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (run.id, run.started_at, run.device, machine, run.version, len(run.rows), timed, packed),
    )
    base.executemany(
        "INSERT INTO figures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run.id,
                row.name,
                row.sha256,
                row.target,
                row.state,
                row.state == "timed" and timing.valid,
                timing.threads,
                timing.summary.p50_s,
                timing.summary.p50_low_s,
                timing.summary.p50_high_s,
            )
            for row in run.rows
            for timing in row.timings
            if timing.summary is not None
        ],
    )


def _chosen(wanted: str, ids: list[str], path: Path) -> str:
    """The one id that is meant; `ids` are oldest first."""
    if back := re.fullmatch(r"last(?:~(\d+))?", wanted):
        steps = int(back[1] or 0)
        if steps < len(ids):
            return ids[-1 - steps]
        raise ResultsError(f"{path} holds {plural(len(ids), 'run')}, so there is no {wanted}")
    meant = [run for run in ids if run == wanted] or [run for run in ids if run.startswith(wanted)]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise ResultsError(
            f"{wanted} is neither a file nor the id of a run in {path}; list them by "
            "atpn-bench history"
        )
    raise ResultsError(
        f"{wanted} is the beginning of {len(meant)} ids: {', '.join(meant[:3])}, ..."
    )


def _explained(path: Path, error: sqlite3.Error) -> str:
    """What SQLite complains of, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits tell more than we need
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} has been written to by another process for {PATIENCE_S:.0f} s: try again"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{path} is damaged or no history ({error}) and is left as it is: {ELSEWHERE}"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return f"cannot write {path} ({error}); the runs in it are what they were: make room"
    return f"cannot use {path} ({error}): {ELSEWHERE}"


def run_named(named: str, history: Path | None = None) -> Run:
    """The run in a file, or in the history where there is no such file."""
    path = Path(named)
    if path.exists() or path.suffix or "/" in named:
        return read_run(path)
    return History(history).load(named)
