"""The history keeps whole runs, whoever else writes, and never harms a file that is not its own."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks import history as history_module
from atpn_benchmarks.history import STEPS, History, default_path, run_named
from atpn_benchmarks.results import Run
from atpn_benchmarks.results_file import write_run
from atpn_deploy.errors import ResultsError

INT8 = "atpn-lite-int8.tflite"


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "state" / "bench.sqlite")


def test_a_run_comes_back_as_it_went(history: History, run: Run) -> None:
    history.append(run)

    assert history.load(run.id) == run
    (entry,) = history.entries()
    assert (entry.id, entry.device, entry.rows, entry.timed) == (run.id, "local", 8, 8)
    assert "AMD EPYC 9R45" in entry.machine
    assert "avx2" in entry.machine


def test_runs_are_listed_by_time_and_not_by_arrival(history: History, maker) -> None:
    runs = [maker.run(seed) for seed in (3, 1, 2)]
    for run in runs:
        history.append(run)

    assert [entry.id for entry in history.entries()] == [runs[i].id for i in (1, 2, 0)]


def test_the_figures_of_a_file_are_found(history: History, maker) -> None:
    runs = [maker.run(1, threads=(1, 2)), maker.run(2, hashes="c")]
    runs[1] = maker.changed(runs[1], INT8, state="invalid", reason="too few")
    for run in runs:
        history.append(run)

    figures = history.figures(INT8)
    assert [(f.run, f.threads, f.state, f.sha256[0]) for f in figures] == [
        (runs[0].id, 1, "timed", "a"),
        (runs[0].id, 2, "timed", "a"),
        (runs[1].id, 1, "invalid", "c"),
    ]
    summary = runs[0].rows[0].timings[0].summary
    assert (figures[0].p50_s, figures[0].p50_low_s) == (summary.p50_s, summary.p50_low_s)
    assert figures[0].valid is True
    assert history.figures("none.onnx") == []
    assert INT8 in history.names()


def test_the_same_run_twice_is_one(history: History, run: Run) -> None:
    history.append(run)
    history.append(run)

    assert len(history.entries()) == 1


def test_another_run_with_the_same_id_is_refused(history: History, run: Run) -> None:
    history.append(run)

    with pytest.raises(ResultsError, match=f"holds another run with the id {run.id}"):
        history.append(replace(run, seconds=1.0))
    assert history.load(run.id) == run


def test_no_history_is_an_empty_one_and_leaves_no_file(history: History) -> None:
    assert history.entries() == []
    assert history.names() == []
    assert not history.path.parent.exists()


def test_runs_are_named_by_id_beginning_and_age(history: History, maker) -> None:
    first, second, third = runs = [maker.run(seed) for seed in (1, 2, 3)]
    for run in runs:
        history.append(run)

    assert history.load("last").id == third.id
    assert history.load("last~1").id == second.id
    assert history.load("last~2").id == first.id
    assert history.load(second.id[:9]).id == second.id
    for wanted, told in (
        ("last~3", "holds 3 runs, so there is no last~3"),
        ("2027", "2027 is neither a file nor the id of a run in .*atpn-bench history"),
        ("2026", "2026 is the beginning of 3 ids"),
    ):
        with pytest.raises(ResultsError, match=told):
            history.load(wanted)


def test_a_name_is_a_file_or_a_run(history: History, maker, tmp_path: Path) -> None:
    kept, saved = maker.run(1), maker.run(2)
    history.append(kept)
    write_run(saved, tmp_path / "saved.json")

    assert run_named(str(tmp_path / "saved.json"), history.path) == saved
    assert run_named("last", history.path) == kept
    with pytest.raises(ResultsError, match=r"cannot read gone\.json: No such file"):
        run_named("gone.json", history.path)


APPEND = """
import sys
from pathlib import Path
from dataclasses import replace
from atpn_benchmarks.history import History
from atpn_benchmarks.results_file import read_run

run, history = read_run(Path(sys.argv[1])), History(Path(sys.argv[2]))
sys.stdin.readline()
for i in range(10):
    history.append(replace(run, id=f"{sys.argv[3]}-{i}"))
"""


def test_two_processes_append_at_once(history: History, run: Run, tmp_path: Path) -> None:
    """The file is not there yet: both want to make it."""
    write_run(replace(run, rows=run.rows[:1]), tmp_path / "run.json")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, tmp_path / "run.json", history.path, name],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=120)[1] for writer in writers]

    assert told == ["", ""]
    assert {entry.id for entry in history.entries()} == {
        f"{name}-{i}" for name in ("one", "two") for i in range(10)
    }


def test_nobody_writes_between_our_reading_and_our_writing(
    history: History, run: Run, maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(run)
    told = []
    insert = history_module._insert

    def meanwhile(base: sqlite3.Connection, new: Run, packed: bytes) -> None:
        with closing(sqlite3.connect(history.path, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                told.append(str(error))
        insert(base, new, packed)

    monkeypatch.setattr(history_module, "_insert", meanwhile)
    history.append(maker.run(2))

    assert told == ["database is locked"]
    assert len(history.entries()) == 2


def test_tables_that_another_process_has_just_made_are_not_made_again(
    history: History, run: Run, maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = history_module._version
    alone: list[bool] = []  # for each look at the version, whether nobody else could write

    def stale(base: sqlite3.Connection, path: Path) -> int:
        found = version(base, path)
        alone.append(base.in_transaction)
        if len(alone) == 1:
            History(path).append(run)
        return found

    monkeypatch.setattr(history_module, "_version", stale)
    history.append(maker.run(2))

    assert alone[-1]
    assert len(history.entries()) == 2


def test_a_writer_that_never_ends_is_told_of(
    history: History, run: Run, maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(run)
    monkeypatch.setattr(history_module, "PATIENCE_S", 0.05)
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ResultsError, match=r"written to by another process .* try again"):
            history.append(maker.run(2))

    assert [entry.id for entry in history.entries()] == [run.id]


@pytest.mark.parametrize("size", [1 << 14, 3000, 200])
def test_a_damaged_file_is_named_and_left_alone(
    history: History, run: Run, maker, size: int
) -> None:
    """Overwritten from its first byte, in its middle, or cut off."""
    history.append(run)
    whole = bytearray(history.path.read_bytes())
    whole[:size] = b"\xff" * size
    history.path.write_bytes(whole)

    for use in (history.entries, lambda: history.append(maker.run(2))):
        with pytest.raises(ResultsError, match=r"bench\.sqlite is damaged .* left as it is: move"):
            use()
    assert history.path.read_bytes() == whole


def test_a_history_that_was_cut_off_is_named(history: History, maker) -> None:
    for seed in range(3):
        history.append(maker.run(seed))
    whole = history.path.read_bytes()
    history.path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ResultsError, match=r"bench\.sqlite is damaged"):
        history.append(maker.run(4))


def test_a_run_whose_bytes_are_damaged_is_named(history: History, run: Run) -> None:
    history.append(run)
    with closing(sqlite3.connect(history.path)) as base, base:
        base.execute("UPDATE runs SET run = x'0102'")

    with pytest.raises(ResultsError, match=rf"bench\.sqlite: run {run.id} is damaged"):
        history.load(run.id)


def test_a_database_of_something_else_is_not_touched(history: History, run: Run) -> None:
    history.path.parent.mkdir()
    with closing(sqlite3.connect(history.path)) as base, base:
        base.execute("CREATE TABLE bookmarks (url TEXT)")
    before = history.path.read_bytes()

    for use in (history.entries, lambda: history.append(run)):
        with pytest.raises(ResultsError, match="is a database of something else: move it away"):
            use()
    assert history.path.read_bytes() == before


def test_a_newer_history_is_refused_and_not_touched(history: History, run: Run) -> None:
    history.append(run)
    with closing(sqlite3.connect(history.path)) as base:
        base.execute("PRAGMA user_version = 99")
    before = history.path.read_bytes()

    with pytest.raises(ResultsError, match=r"history of version 99, this .* knows up to 1: update"):
        history.append(run)
    assert history.path.read_bytes() == before


def test_an_older_history_is_brought_up_to_date(
    history: History, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(run)
    later = (*STEPS, ("ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",))
    monkeypatch.setattr(history_module, "STEPS", later)

    assert history.load(run.id) == run
    with closing(sqlite3.connect(history.path)) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert base.execute("SELECT note FROM runs").fetchall() == [("none",)]


def test_a_step_that_fails_is_undone(
    history: History, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(run)
    bad = (*STEPS, ("CREATE TABLE more (x)", "CREATE TABLE runs (x)"))
    monkeypatch.setattr(history_module, "STEPS", bad)
    with pytest.raises(ResultsError, match="cannot use"):
        history.entries()
    monkeypatch.undo()

    assert history.load(run.id) == run


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_what_was_there(history: History, run: Run, maker) -> None:
    history.append(run)
    size = history.path.stat().st_size
    larger = replace(maker, rounds=200).run(2)

    with (
        pytest.raises(ResultsError, match=r"cannot write .*the runs in it are what they were"),
        small_files(size),
    ):
        history.append(larger)

    assert history.load(run.id) == run


def test_a_place_that_can_not_be_made_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ResultsError, match=r"cannot write .*file/bench\.sqlite"):
        History(tmp_path / "file" / "bench.sqlite").append(run)


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ATPN_BENCH_HISTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    assert default_path() == tmp_path / ".local/state/atpn-deploy/bench.sqlite"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_path() == tmp_path / ".local/state/atpn-deploy/bench.sqlite"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert default_path() == Path("/var/state/atpn-deploy/bench.sqlite")
    monkeypatch.setenv("ATPN_BENCH_HISTORY", "~/mine.sqlite")
    assert default_path() == tmp_path / "mine.sqlite"
