from __future__ import annotations

import math
from dataclasses import replace

import pytest

from atpn_benchmarks.report.choice import front, line, picks
from atpn_benchmarks.report.ratios import ratio_table
from atpn_benchmarks.report.standing import (
    Standing,
    first_threads,
    is_float,
    share_of_limit,
    standing,
    standings,
    twin,
    unmeasured,
)
from atpn_benchmarks.results import Row, Run


def named(run: Run, name: str) -> Standing:
    return next(each for each in standings(run) if each.row.name == name)


def with_rows(run: Run, *changed: Row) -> Run:
    by_name = {row.name: row for row in changed}
    return replace(run, rows=tuple(by_name.get(row.name, row) for row in run.rows))


def slowed(each: Standing, factor: float) -> Row:
    """The row with all figures of its first timing made longer."""
    summary = each.summary
    times = {
        name: factor * getattr(summary, name)
        for name in ("p50_s", "p95_s", "p99_s", "p50_low_s", "p50_high_s")
    }
    timing = replace(each.timing, summary=replace(summary, **times))
    return replace(each.row, timings=(timing, *each.row.timings[1:]))


def test_every_row_is_measured_or_not(run: Run) -> None:
    found = {each.row.name for each in standings(run)}
    rest = {row.name for row in unmeasured(run)}
    assert found | rest == {row.name for row in run.rows}
    assert not found & rest
    assert {row.state for row in unmeasured(run)} == {"not timed", "not run", "failed"}


def test_headlines_are_about_the_fewest_threads(run: Run) -> None:
    settings = replace(run.settings, threads=(4, 2))
    assert first_threads(replace(run, settings=settings)) == 2


def test_an_invalid_figure_does_not_hold_and_says_why(run: Run) -> None:
    invalid = named(run, "atpn-lite-int16x8.tflite")
    assert not invalid.holds
    assert invalid.state == "invalid"
    assert "interval of the median" in invalid.flaw
    partial = named(run, "atpn-lite-fp16.ncnn")
    assert partial.state == "partial"
    assert "connection" in partial.flaw


def test_a_rule_broken_on_two_threads_leaves_the_figure_on_one(run: Run) -> None:
    good = named(run, "atpn-lite-int8.tflite")
    second = good.row.timings[1]
    assert second.summary is not None
    summary = replace(second.summary, broken=("too wide",))
    row = replace(good.row, timings=(good.timing, replace(second, summary=summary)))
    one, two = standing(row, 1), standing(row, 2)
    assert one is not None
    assert one.holds
    assert two is not None
    assert (two.holds, two.state, two.flaw) == (False, "invalid", "too wide")


def test_the_float_twin_is_the_same_network_outputs_and_format(run: Run) -> None:
    for name, other in (
        ("atpn-lite-int8.tflite", "atpn-lite-fp32.tflite"),
        ("atpn-lite-fp16.tflite", "atpn-lite-fp32.tflite"),
        ("atpn-lite-align-int8.tflite", "atpn-lite-align-fp32.tflite"),
        ("atpn-int8.onnx", "atpn-fp32.onnx"),
    ):
        found = twin(run, named(run, name).row)
        assert found is not None
        assert found.name == other
    assert twin(run, named(run, "atpn-lite-fp32.tflite").row) is None
    assert twin(run, named(run, "mediapipe_face_landmark.tflite").row) is None


def test_float16_is_float_and_dynamic_int8_is_not(run: Run) -> None:
    assert is_float(named(run, "atpn-lite-fp16.tflite").row)
    assert not is_float(named(run, "atpn-lite-dynamic-int8.tflite").row)


def test_the_share_of_the_limit_is_the_largest(run: Run) -> None:
    row = named(run, "atpn-lite-int8.tflite").row
    assert share_of_limit(row) == pytest.approx(0.157 * 3.3 / 1.5)
    assert math.isnan(share_of_limit(replace(row, drift=())))


def test_the_fastest_file_of_each_job_is_taken(run: Run) -> None:
    chosen = {(p.model, p.signature): p.chosen.row.name for p in picks(standings(run))}
    assert chosen == {
        ("atpn-lite", "full"): "atpn-lite-int8.tflite",
        ("atpn", "full"): "atpn-int8.tflite",
        ("atpn-lite", "align"): "atpn-lite-align-int8.tflite",
        ("atpn", "align"): "atpn-align-int8.tflite",
    }


def test_of_files_as_fast_the_smallest_is_taken(run: Run) -> None:
    rival = named(run, "atpn-lite-int8.pte")
    best = named(run, "atpn-lite-int8.tflite")
    row = slowed(rival, 1.02 * best.p50_ms / rival.p50_ms)
    small = with_rows(run, replace(row, size_bytes=900_000))
    pick = picks(standings(small))[0]
    assert pick.chosen.row.name == "atpn-lite-int8.pte"
    assert "within 5%" in pick.why
    far = replace(slowed(rival, 1.2 * best.p50_ms / rival.p50_ms), size_bytes=900_000)
    assert picks(standings(with_rows(run, far)))[0].chosen.row.name == "atpn-lite-int8.tflite"


def test_an_invalid_file_is_never_taken(run: Run) -> None:
    best = named(run, "atpn-lite-int8.tflite").row
    invalid = with_rows(run, replace(best, state="invalid", reason="throttled"))
    assert picks(standings(invalid))[0].chosen.row.name == "atpn-lite-int8.pte"


def test_the_front_keeps_what_is_best_in_one_thing(run: Run) -> None:
    job = [e for e in standings(run) if (e.row.model, e.row.signature) == ("atpn-lite", "full")]
    names = [each.row.name for each in front(job)]
    assert "atpn-lite-int8.tflite" in names  # fastest
    assert "atpn-lite-dynamic-int8.tflite" in names  # smallest
    assert "atpn-lite-fp32.ncnn" in names  # fastest of the exact ones
    assert "atpn-lite-full-int8.tflite" not in names  # beaten in all three
    assert "atpn-lite-int16x8.tflite" not in names  # its figure does not hold
    assert [each.row.name for each in line(job)] == [
        "atpn-lite-int8.tflite",
        "atpn-lite-dynamic-int8.tflite",
    ]


def test_ratios_are_of_valid_files_alone(run: Run) -> None:
    found = ratio_table(run)
    assert found.peers[0].row.name == "mediapipe_face_landmark.tflite"
    assert len(found.peers) == 5
    assert found.row("atpn-lite-int16x8.tflite") is None
    row = found.row("atpn-lite-int8.tflite")
    assert row is not None
    first = row.against[0]
    assert first.low <= first.value <= first.high
    assert first.value == pytest.approx(row.file.p50_ms / found.peers[0].p50_ms)
    assert row.float_gain is not None
    other = named(run, "atpn-lite-fp32.tflite")
    assert row.float_gain.value == pytest.approx(other.p50_ms / row.file.p50_ms)
    own = found.row("atpn-lite-fp32.tflite")
    assert own is not None
    assert own.float_gain is None
