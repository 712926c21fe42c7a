"""A run as JSON: what is written comes back, what is damaged is named, what is old is migrated."""

from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atpn_benchmarks import results, results_file
from atpn_benchmarks.results import Drift, Run
from atpn_benchmarks.results_file import read_run, run_text, write_run
from atpn_deploy.errors import ResultsError


def edited(run: Run, path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The run's file after `edit` changed its JSON object."""
    found = json.loads(run_text(run))
    edit(found)
    path.write_text(json.dumps(found))
    return path


def test_what_is_written_comes_back(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path / "run.json")

    assert read_run(tmp_path / "run.json") == run


def test_samples_are_kept_to_the_nanosecond(run: Run, maker: Any) -> None:
    row = run.rows[0]
    timing = replace(row.timings[0], wall_s=(0.00123456789012, 0.5), cpu_s=(1e-9, 0.5), burst=2)
    found = json.loads(run_text(maker.changed(run, row.name, timings=(timing,))))

    assert found["rows"][0]["timings"][0]["wall_s"] == [0.001234568, 0.5]


def test_a_drift_that_is_no_number_is_null_and_comes_back(
    run: Run, maker: Any, tmp_path: Path
) -> None:
    drift = (
        Drift("pose", "max", "all", math.nan, 1.5, "degree"),
        Drift("pose", "mean", "all", 0.2, 0.5, "degree"),
        Drift("landmarks", "max", "all", math.inf, 1.5, "px"),
    )
    name = run.rows[1].name
    write_run(maker.changed(run, name, drift=drift), tmp_path / "run.json")

    text = (tmp_path / "run.json").read_text()
    back = read_run(tmp_path / "run.json").rows[1].drift
    assert "NaN" not in text
    assert "Infinity" not in text
    assert [math.isnan(d.error) for d in back] == [True, False, True]
    assert back[1] == drift[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_any_other_figure_that_is_no_number_is_refused(
    run: Run, tmp_path: Path, bad: float
) -> None:
    with pytest.raises(ResultsError, match=rf"run {run.id}: timer_overhead_s: .* got null"):
        write_run(replace(run, timer_overhead_s=bad), tmp_path / "run.json")

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_temperature_stays_unknown(run: Run, tmp_path: Path) -> None:
    write_run(replace(run, competing_load=math.nan), tmp_path / "run.json")

    assert read_run(tmp_path / "run.json").competing_load is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON, or was cut off"),
        ('{"schema": 1, "rows": [', "is not JSON, or was cut off: EOF .* line 1 column"),
        ("\x00\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON, or was cut off: recursion limit"),
        ('{"schema": 1, "rows": [], "seconds": NaN}', "is not JSON"),
        ("[1, 2]", "is JSON, but no result of atpn-bench"),
        ('{"report_version": 1, "file": "atpn-int8.tflite"}', "no result of atpn-bench"),
        ('{"schema": true, "rows": []}', "no result of atpn-bench"),
        ('{"schema": 1, "rows": 5, "id": "x"}', "the field started_at is missing"),
    ],
)
def test_what_is_no_result_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "odd.json").write_text(text, encoding="latin-1")

    with pytest.raises(ResultsError, match=rf"odd\.json.*{told}") as error:
        read_run(tmp_path / "odd.json")
    assert "\n" not in str(error.value)


def _set(place: tuple[str | int, ...], value: object) -> Callable[[dict[str, Any]], object]:
    def edit(found: Any) -> None:
        for step in place[:-1]:
            found = found[step]
        found[place[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            _set(("rows", 2, "size_bytes"), "a lot"),
            r"rows\.2\.size_bytes: .*integer, got \"a lot\"",
        ),
        (_set(("rows", 0, "size_bytes"), 12.0), r"rows\.0\.size_bytes: .*integer, got 12\.0"),
        (_set(("rows", 0, "peer"), 1), r"rows\.0\.peer: .*boolean, got 1"),
        (_set(("rows", 0, "state"), "fine"), r"rows\.0\.state: .*'timed'.*got \"fine\""),
        (
            _set(("rows", 0, "colour"), 1),
            r"does not know the field rows\.0\.colour, written by 0\.1\.0",
        ),
        (
            _set(("rows", 0, "timings", 0, "wall_s", 3), None),
            r"rows\.0\.timings\.0\.wall_s\.3: .*null",
        ),
        (_set(("rows", 0, "timings", 0, "wall_s", 3), -1.0), r"timings\.0\.wall_s: .* no time"),
        (_set(("rows", 1, "timings", 0, "cpu_s"), [1.0]), r"rows\.1\.timings\.0\.cpu_s: 1 samples"),
        (_set(("rows", 0, "timings", 0, "burst"), 0), r"burst: 0 is not"),
        (_set(("rows", 0, "timings", 0, "threads"), 0), r"threads: 0 is not"),
        (_set(("rows", 0, "timings", 0, "summary", "p50_s"), 0.0), r"summary\.p50_s: "),
        (
            _set(("rows", 1, "name"), "atpn-lite-int8.tflite"),
            r"rows\.1\.name: .* stands there twice",
        ),
        (lambda found: found["machine"].pop("cpu"), r"the field machine\.cpu is missing"),
    ],
)
def test_a_damaged_field_is_named(
    run: Run, tmp_path: Path, edit: Callable[[dict[str, Any]], object], told: str
) -> None:
    path = edited(run, tmp_path / "bad.json", edit)

    with pytest.raises(ResultsError, match=rf"bad\.json: .*{told}") as error:
        read_run(path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot read .*none\.json: No such file"):
        read_run(tmp_path / "none.json")


def test_a_newer_schema_says_who_wrote_it_and_what_to_do(run: Run, tmp_path: Path) -> None:
    path = edited(run, tmp_path / "new.json", lambda f: f.update(schema=9, version="2.0", more=1))

    with pytest.raises(
        ResultsError, match=r"schema 9, written by atpn-deploy 2\.0; .*knows up to 1: update it"
    ):
        read_run(path)


def test_an_older_schema_is_migrated_step_by_step(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(found: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in found.items() if key != "duration"} | {
            "seconds": found["duration"]
        }

    def split(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"duration": found["duration"] / 1000}

    path = edited(
        run, tmp_path / "old.json", lambda f: f.update(schema=1, duration=f.pop("seconds") * 1000)
    )
    monkeypatch.setattr(results, "SCHEMA", 3)
    monkeypatch.setattr(results_file, "MIGRATIONS", {1: split, 2: rename})

    assert read_run(path) == replace(run, schema=3)


def test_a_schema_that_is_too_old_is_refused(run: Run, tmp_path: Path) -> None:
    path = edited(run, tmp_path / "old.json", lambda f: f.update(schema=0))

    with pytest.raises(
        ResultsError, match=r"schema 0, which can't be brought to today's 1: measure"
    ):
        read_run(path)


def test_every_older_schema_has_a_migration_or_is_refused() -> None:
    assert set(results_file.MIGRATIONS) <= set(range(1, results.SCHEMA))


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process grows beyond a thousand bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_file_that_was_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")

    with pytest.raises(ResultsError, match=r"cannot write .*; the one before is"), small_files():
        write_run(run, path)

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot write .*none/run\.json: No such file"):
        write_run(run, tmp_path / "none" / "run.json")


def test_a_link_stays_a_link(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("run.json")
    write_run(run, tmp_path / "link.json")

    assert (tmp_path / "link.json").is_symlink()
    assert read_run(tmp_path / "run.json") == run


def test_what_is_no_plain_file_is_written_to_and_not_replaced(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_run(replace(run, rows=()), pipe)
        text = os.read(reader, 1 << 16)
    finally:
        os.close(reader)

    assert pipe.is_fifo()
    assert json.loads(text)["id"] == run.id
