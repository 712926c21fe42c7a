"""atpn-bench compare and atpn-bench history, as they are typed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.history import History
from atpn_benchmarks.history_tables import courses, sparkline
from atpn_benchmarks.results_file import read_run, write_run
from atpn_deploy.cli import bench_compare, bench_history

INT8 = "atpn-lite-int8.tflite"
QUIET = ("--relative-to", "nothing", "--run-to-run", "0%")
Typed = Callable[..., int]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maker) -> Typed:
    """Runs a command in a folder with a.json, same.json, slow.json and a history of all three."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATPN_BENCH_HISTORY", str(tmp_path / "kept.sqlite"))
    monkeypatch.setenv("COLUMNS", "160")
    runs = {
        "a": maker.run(1),
        "same": maker.run(2, hashes="c"),
        "slow": maker.run(3, slower={INT8: 1.08}, hashes="d"),
    }
    for name, run in runs.items():
        write_run(run, tmp_path / f"{name}.json")
        History().append(run)

    def run_it(main: Callable[[], None], *words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["atpn-bench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return run_it


def test_compare_ends_with_0_where_nothing_is_asked(typed: Typed, capsys) -> None:
    assert typed(bench_compare.main, "a.json", "slow.json") == 0
    assert "slower" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("a.json", "same.json", "--fail-if-slower", "5%"), 0),
        (("a.json", "slow.json", "--fail-if-slower", "5%"), 1),
        (("a.json", "slow.json", "--fail-if-slower", "20%"), 0),
        (("last~2", "last", "--fail-if-slower", "5%"), 1),
        (("last~2", "last~1", "--fail-if-slower", "5%"), 0),
        (("a.json", "slow.json", "--fail-if-slower", "5%", "--relative-to", "nothing"), 3),
        (("a.json", "slow.json", "--fail-if-slower", "5%", *QUIET), 1),
    ],
)
def test_the_exit_status_is_the_verdict(
    typed: Typed, words: tuple[str, ...], status: int, capsys
) -> None:
    assert typed(bench_compare.main, *words) == status


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a.json", "gone.json"), "cannot read gone.json: No such file or directory"),
        (("a.json", "2030"), "2030 is neither a file nor the id of a run in "),
        (("a.json", "slow.json", "--fail-if-slower", "5"), "takes a percentage such as 5%"),
        (("a.json", "slow.json", "--fail-if-slower", "0%"), "a percentage above 0%"),
        (("a.json", "slow.json", "--run-to-run", "x"), "--run-to-run takes a percentage"),
        (("a.json", "slow.json", "--relative-to", "x"), "--relative-to x: no such row"),
        (("a.json", "other.json"), "are of two machines (cpu AMD EPYC 9R45 and Cortex-A76)"),
        (("a.json", "a.json", "--json", "none/x.json"), "cannot write none/x.json"),
    ],
)
def test_an_error_is_one_line_and_status_2(
    typed: Typed, words: tuple[str, ...], told: str, capsys
) -> None:
    run = read_run(Path("a.json"))
    other = replace(run, machine=replace(run.machine, cpu="Cortex-A76"))
    write_run(other, Path("other.json"))

    assert typed(bench_compare.main, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_json_and_markdown_go_where_they_are_asked(typed: Typed, capsys) -> None:
    assert typed(bench_compare.main, "a.json", "slow.json", "--json", "-") == 0
    out = capsys.readouterr()
    assert typed(bench_compare.main, "a.json", "slow.json", "--markdown", "c.md") == 0

    assert json.loads(out.out)["old"]["source"] == "a.json"
    assert "slower" in out.err
    assert f"| {INT8} * |" in Path("c.md").read_text()


def test_history_lists_the_runs_newest_first(typed: Typed, capsys) -> None:
    assert typed(bench_history.main, "--limit", "2") == 0
    out = capsys.readouterr().out

    ids = [entry.id for entry in History().entries()]
    assert out.index(ids[2]) < out.index(ids[1])
    assert ids[0] not in out
    assert "and 1 older run\n" in out
    assert "8 of 8" in out


def test_names_with_brackets_are_shown_as_they_are(typed: Typed, capsys, maker) -> None:
    run = replace(maker.run(8, ours={"net[1].onnx": 1e-3}), device="ssh:pi@[fe80::1]")
    History().append(run)
    write_run(run, Path("b.json"))
    other = maker.run(7, ours={"net[1].onnx": 1e-3}, hashes="c")
    write_run(maker.changed(other, "net[1].onnx", size_bytes=3), Path("c.json"))

    assert typed(bench_history.main) == 0
    assert typed(bench_compare.main, "b.json", "c.json") == 0

    out = capsys.readouterr().out
    assert "ssh:pi@[fe80::1]" in out
    assert out.count("net[1].onnx") == 3  # its time, its size, its hash


def test_history_of_a_file_is_its_course_on_each_machine(typed: Typed, capsys, maker) -> None:
    run = maker.run(4)
    History().append(replace(run, machine=replace(run.machine, cpu="Cortex-A76")))

    assert typed(bench_history.main, "--file", INT8, "--json", "course.json") == 0

    out = capsys.readouterr().out
    assert f"{INT8} on 1 thread, AMD EPYC 9R45" in out
    assert f"{INT8} on 1 thread, Cortex-A76" in out
    found = json.loads(Path("course.json").read_text())
    assert [len(course["points"]) for course in found] == [3, 1]
    assert found[0]["points"][2]["value"] == pytest.approx(0.9e-3 * 1.08, rel=0.03)


def test_history_relative_to_a_file_is_the_ratio(typed: Typed, capsys) -> None:
    words = ("--file", INT8, "--relative-to", "peer0.tflite", "--json", "-")
    assert typed(bench_history.main, *words) == 0

    points = json.loads(capsys.readouterr().out)[0]["points"]
    assert [p["value"] for p in points] == pytest.approx([2.25, 2.25, 2.25 * 1.08], rel=0.02)


def test_history_exports_a_run_as_it_was_measured(typed: Typed, capsys) -> None:
    assert typed(bench_history.main, "--export", "last", "out.json") == 0
    assert typed(bench_history.main, "--export", "last~2", "-") == 0

    assert Path("out.json").read_bytes() == Path("slow.json").read_bytes()
    assert capsys.readouterr().out.encode() == Path("a.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--file", "none.onnx"), "has no timed file none.onnx; it has atpn-fp32.onnx, "),
        (("--file", INT8, "--relative-to", "x"), "has no timed file x"),
        (("--relative-to", "x"), "--relative-to needs --file NAME"),
        (("--export", "last", "x.json", "--json", "-"), "leave out --file and --json"),
        (("--export", "nope", "x.json"), "nope is neither a file nor the id"),
        (("--export", "last", "none/x.json"), "cannot write none/x.json"),
    ],
)
def test_a_wrong_word_is_one_line_and_status_2(
    typed: Typed, words: tuple[str, ...], told: str, capsys
) -> None:
    assert typed(bench_history.main, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_no_history_is_said(typed: Typed, capsys) -> None:
    os.remove("kept.sqlite")

    assert typed(bench_history.main) == 0
    assert capsys.readouterr().out == "no run yet\n"


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1.0, 1.0, 1.0], "▁▁▁"),
        ([1.0, 1.1, 1.05], "▁█▅"),
        ([1.0, 1.01], "▁▂"),  # a hundredth is no mountain
        ([1.0, None, 8.0], "▁·█"),
        ([None], "·"),
        ([], ""),
    ],
)
def test_bars_follow_the_values(values: list[float | None], bars: str) -> None:
    assert sparkline(values) == bars


def test_a_run_without_a_valid_other_file_has_no_ratio(typed: Typed, maker) -> None:
    History().append(maker.changed(maker.run(4), "peer0.tflite", state="invalid", reason="busy"))
    History().append(maker.run(5, peers={}))
    history = History()

    (course,) = courses(
        INT8, history.figures(INT8), "peer0.tflite", history.figures("peer0.tflite")
    )

    assert [point.value is None for point in course.points] == [False, False, False, True, True]
    assert not course.points[4].holds
