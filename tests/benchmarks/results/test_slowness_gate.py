"""What stops a build: a slow-down beyond doubt, and, with a status of its own, a doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atpn_benchmarks.comparison import Change, Comparison, compare
from atpn_benchmarks.latency import Ratio
from atpn_benchmarks.results import Run
from atpn_benchmarks.slowness_gate import gate, parse_limit, parse_percent
from atpn_deploy.errors import ConfigError, ResultsError

INT8 = "atpn-lite-int8.tflite"


@pytest.fixture
def same(run: Run, maker) -> Comparison:
    """Nothing has changed but the bytes of our files."""
    return compare(run, maker.run(2, hashes="c"))


def test_a_planted_slow_down_of_8_percent_is_caught_at_5(run: Run, maker) -> None:
    verdict = gate(compare(run, maker.run(2, slower={INT8: 1.08}, hashes="c")), 0.05)

    assert [change.name for change in verdict.slower] == [INT8]
    assert (verdict.exit_status, verdict.passed, verdict.unsure) == (1, 2, ())


def test_the_same_files_pass(same: Comparison) -> None:
    verdict = gate(same, 0.05)

    assert (verdict.exit_status, verdict.passed, verdict.unsure) == (0, 3, ())


def test_the_same_data_passes(run: Run) -> None:
    assert gate(compare(run, run), 0.001).exit_status == 0


def test_a_slower_machine_stops_no_build(run: Run, maker) -> None:
    assert gate(compare(run, maker.run(2, machine_moves=1.15, hashes="c")), 0.05).exit_status == 0


def test_no_build_is_stopped_by_chance(maker) -> None:
    """Files that move by 1 % of their own: not one of 60 pairs is called slower by 5 %."""
    small = replace(maker, rounds=12, burst=2)
    pairs = [
        (small.run(i, file_moves=0.01), small.run(100 + i, file_moves=0.01, hashes="c"))
        for i in range(60)
    ]

    assert [i for i, pair in enumerate(pairs) if gate(compare(*pair), 0.05).slower] == []


def with_ratio(comparison: Comparison, ratio: Ratio) -> Comparison:
    """The comparison of one file, with this ratio."""
    change = next(change for change in comparison.changes if change.name == INT8)
    return replace(comparison, changes=(replace(change, ratio=ratio),))


@pytest.mark.parametrize(
    ("value", "low", "high", "status"),
    [
        (1.00, 0.99, 1.01, 0),
        (1.04, 1.02, 1.06, 0),  # as likely as not below 5 %, and told well enough
        (1.05, 1.03, 1.07, 0),  # 5 % is not more than 5 %
        (1.08, 1.051, 1.11, 1),
        (1.08, 1.05, 1.11, 3),  # perhaps
        (1.00, 0.94, 1.06, 3),  # too wide to say
        (1.03, 1.02, 1.10, 3),
        (0.80, 0.79, 0.81, 0),
        (float("nan"), float("nan"), float("nan"), 3),
    ],
)
def test_the_rule(same: Comparison, value: float, low: float, high: float, status: int) -> None:
    verdict = gate(with_ratio(same, Ratio(value, low, high)), 0.05)

    assert verdict.exit_status == status
    assert (len(verdict.slower), len(verdict.unsure), verdict.passed) == (
        int(status == 1),
        int(status == 3),
        int(status == 0),
    )


def test_peers_are_judged_by_nobody(run: Run, maker) -> None:
    new = maker.run(2, slower={"peer0.tflite": 1.5}, hashes="c")

    assert gate(compare(run, new, relative_to="peer1.tflite"), 0.05).slower == ()


def test_a_file_that_is_missing_or_invalid_is_no_pass_in_silence(run: Run, maker) -> None:
    new = maker.changed(maker.run(2), INT8, state="failed", reason="it crashed", timings=())
    new = replace(new, rows=tuple(row for row in new.rows if row.name != "atpn-fp32.onnx"))

    verdict = gate(compare(run, new), 0.05)

    assert verdict.exit_status == 3
    assert verdict.unsure == (
        f"{INT8} on 1 thread could not be compared",
        "atpn-fp32.onnx on 1 thread could not be compared",
    )


def test_a_slow_down_outweighs_a_doubt(run: Run, maker) -> None:
    new = maker.run(2, slower={"atpn-fp32.onnx": 1.2}, hashes="c")
    new = maker.changed(new, INT8, state="failed", reason="it crashed", timings=())

    assert gate(compare(run, new), 0.05).exit_status == 1


def test_a_new_file_or_number_of_threads_is_not_missed(maker) -> None:
    old = maker.run(1, ours={INT8: 1e-3})
    new = maker.run(2, ours={INT8: 1e-3, "new.onnx": 1e-3}, threads=(1, 2), hashes="c")

    assert gate(compare(old, new), 0.05).exit_status == 0


@pytest.mark.parametrize("ours", [{}, {"a.onnx": 1e-3}])
def test_nothing_to_judge_is_an_error(maker, ours: dict[str, float]) -> None:
    old = maker.changed(maker.run(1, ours=ours), "a.onnx", timings=(), state="failed", reason="x")

    with pytest.raises(ResultsError, match=r"nothing to judge: .* have no timed file of ours"):
        gate(compare(old, maker.run(2, ours=ours)), 0.05)


def test_a_change_that_is_the_reference_is_not_judged(run: Run, maker) -> None:
    comparison = compare(run, maker.run(2), relative_to=INT8)
    changes: tuple[Change, ...] = tuple(c for c in comparison.changes if c.name == INT8)

    with pytest.raises(ResultsError, match="nothing to judge"):
        gate(replace(comparison, changes=changes), 0.05)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("2.5%", 0.025), ("100%", 1.0)])
def test_a_percentage_is_read(text: str, share: float) -> None:
    assert parse_percent(text, "--x") == pytest.approx(share)
    assert parse_limit(text, "--x") == pytest.approx(share)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "5 %",
        " 5%",
        "%",
        "-5%",
        "five%",
        "5%%",
        ".5%",
        "5.%",
        "nan%",
        "1e1%",
        "\u0665%",
        "",
        "5%\n",
    ],
)
def test_anything_else_is_no_percentage(text: str) -> None:
    with pytest.raises(ConfigError, match="--fail-if-slower takes a percentage such as 5%"):
        parse_limit(text, "--fail-if-slower")


@pytest.mark.parametrize("text", ["0%", "0.0%"])
def test_a_limit_of_nothing_is_refused(text: str) -> None:
    assert parse_percent(text, "--run-to-run") == 0.0
    with pytest.raises(ConfigError, match="above 0%, got '0"):
        parse_limit(text, "--fail-if-slower")
