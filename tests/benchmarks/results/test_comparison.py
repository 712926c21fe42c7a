"""Two runs are held against each other row by row; what can't be compared is said."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from atpn_benchmarks.arm.counts import InstructionCounts
from atpn_benchmarks.comparison import Change, Comparison, compare
from atpn_benchmarks.results import Cost, Delegation, Drift, OperatorTime, Row, Run
from atpn_deploy.errors import ResultsError

INT8 = "atpn-lite-int8.tflite"
ONNX = "atpn-fp32.onnx"
TRIALS = 200


def change_of(comparison: Comparison, name: str, threads: int = 1) -> Change:
    return next(c for c in comparison.changes if (c.name, c.threads) == (name, threads))


def facts_of(comparison: Comparison, name: str) -> dict[str, tuple[object, object]]:
    return {fact.what: (fact.old, fact.new) for fact in comparison.facts if fact.name == name}


def broken(row: Row, *reasons: str) -> tuple:
    return tuple(replace(t, summary=replace(t.summary, broken=reasons)) for t in row.timings)


def test_a_planted_slow_down_is_told_from_a_machine_that_is_slower_as_a_whole(run, maker) -> None:
    new = maker.run(2, slower={INT8: 1.08}, machine_moves=1.12, hashes="c")

    comparison = compare(run, new)

    assert [c.name for c in comparison.changes if c.verdict == "slower"] == [INT8]
    assert change_of(comparison, INT8).ratio.value == pytest.approx(1.08, abs=0.01)
    assert comparison.references[0].moved == pytest.approx(1.12, abs=0.01)
    assert set(comparison.references[0].names) == {f"peer{i}.tflite" for i in range(5)}
    assert comparison.references[0].run_to_run.source == "measured"


def test_what_became_faster_is_told(run, maker) -> None:
    comparison = compare(run, maker.run(2, slower={ONNX: 0.8}, hashes="c"))

    assert change_of(comparison, ONNX).verdict == "faster"


def test_one_row_of_twenty_is_called_changed_by_chance_and_no_more(maker) -> None:
    """200 pairs of runs of one machine that moves, with files that move a little of their own."""
    small, ours = replace(maker, rounds=12, burst=2), {INT8: 1e-3}
    rows = marked = 0
    for trial in range(TRIALS):
        old = small.run(trial, ours=ours, file_moves=0.01)
        new = small.run(TRIALS + trial, ours=ours, file_moves=0.01, machine_moves=1.1, hashes="c")
        comparison = compare(old, new)
        rows += len(comparison.changes)
        marked += sum(change.verdict != "" for change in comparison.changes)

    assert rows == TRIALS * 6
    assert 0.025 <= marked / rows <= 0.065


def test_a_file_is_not_its_own_reference(maker) -> None:
    """Of five files that are the same one moved: neither mean nor scatter of the rest holds it."""
    old, new = maker.run(1, ours={}), maker.run(2, ours={}, slower={"peer0.tflite": 1.5})

    comparison = compare(old, new)

    assert change_of(comparison, "peer0.tflite").ratio.value == pytest.approx(1.5, abs=0.01)
    assert change_of(comparison, "peer0.tflite").verdict == "slower"


def test_the_same_bytes_on_another_runtime_are_no_reference(run, maker) -> None:
    new = maker.run(2)
    for row in run.rows:
        if row.name != ONNX:
            new = maker.changed(new, row.name, runtime="LiteRT 2.4.0")

    assert compare(run, new).references[0].names == (ONNX,)


def test_relative_to_a_row_is_the_ratio_of_ratios(run, maker) -> None:
    new = maker.run(2, slower={INT8: 1.08, "peer1.tflite": 0.9}, machine_moves=1.3, hashes="c")

    comparison = compare(run, new, relative_to="peer1.tflite")

    assert change_of(comparison, INT8).ratio.value == pytest.approx(1.08 / 0.9, abs=0.015)
    assert change_of(comparison, "peer1.tflite").ratio is None
    assert comparison.references[0].names == ("peer1.tflite",)


def test_a_reference_that_is_another_file_now_is_warned_of(run, maker) -> None:
    comparison = compare(run, maker.run(2, hashes="c"), relative_to=ONNX)

    assert any(
        ONNX in warning and "not the same file" in warning for warning in comparison.warnings
    )


def test_relative_to_nothing_a_machine_that_moved_is_warned_of(run, maker) -> None:
    comparison = compare(run, maker.run(2, machine_moves=1.12), relative_to="nothing")

    assert change_of(comparison, INT8).ratio.value == pytest.approx(1.12, abs=0.01)
    (warning,) = comparison.warnings
    assert re.match(
        r"all 8 rows on 1 thread moved alike, by \+1[12]\.\d%: .* --relative-to", warning
    )


def test_rows_that_move_apart_are_not_warned_of(run, maker) -> None:
    new = maker.run(2, file_moves=0.1)

    assert not [w for w in compare(run, new, relative_to="nothing").warnings if "alike" in w]


def test_without_unchanged_files_times_are_absolute_and_unsure(maker) -> None:
    old = maker.run(1, peers={})
    comparison = compare(old, maker.run(2, peers={}, hashes="c", machine_moves=1.12))

    assert comparison.references[0].names == ()
    assert [change.verdict for change in comparison.changes] == ["", "", ""]
    assert [w for w in comparison.warnings if "moved alike" in w]


def test_a_machine_known_to_be_quiet_can_be_said_so(maker) -> None:
    old, new = maker.run(1, peers={}), maker.run(2, peers={}, hashes="c", machine_moves=1.12)

    comparison = compare(old, new, run_to_run=0.005)

    assert {change.verdict for change in comparison.changes} == {"slower"}
    assert comparison.references[0].run_to_run.source == "given"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("peer9.tflite", r"--relative-to peer9\.tflite: no such row .* there are atpn-lite-int8"),
        ("unchanged", r"--relative-to unchanged: no file on 1 thread is the same"),
    ],
)
def test_a_reference_that_is_not_there_is_refused(maker, wanted: str, told: str) -> None:
    with pytest.raises(ResultsError, match=told):
        compare(maker.run(1, peers={}), maker.run(2, peers={}, hashes="c"), relative_to=wanted)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cpu": "Cortex-A76"}, r"\(cpu AMD EPYC 9R45 and Cortex-A76\)"),
        (
            {"cores": 4, "architecture": "aarch64"},
            r"architecture x86_64 and aarch64; cores 2 and 4",
        ),
        ({"features": ("avx2", "fma", "vnni")}, r"\(vnni in b\.json alone\)"),
        ({"features": ("avx2",)}, r"\(fma in a\.json alone\)"),
    ],
)
def test_two_machines_are_refused_with_what_differs(run: Run, fields: dict, told: str) -> None:
    other = replace(run, machine=replace(run.machine, **fields))

    with pytest.raises(
        ResultsError, match=rf"a\.json and b\.json are of two machines .*{told}"
    ) as e:
        compare(run, other, sources=("a.json", "b.json"))
    assert "\n" not in str(e.value)


def test_two_boards_with_the_same_cores_are_two_machines(run: Run) -> None:
    pi, other, unknown = (
        replace(run, machine=replace(run.machine, board=board))
        for board in ("Raspberry Pi 5", "Orange Pi 6", "")
    )

    with pytest.raises(ResultsError, match=r"board Raspberry Pi 5 and Orange Pi 6"):
        compare(pi, other)
    compare(pi, unknown)


def test_a_new_kernel_is_the_same_machine_and_is_said(run: Run, maker) -> None:
    new = maker.run(2)
    new = replace(new, machine=replace(new.machine, system="Linux 6.2"), version="0.2.0")

    warnings = compare(run, new).warnings

    assert "the system was Linux 6.1 and is Linux 6.2" in warnings
    assert "atpn-deploy was 0.1.0 and is 0.2.0" in warnings


def test_an_invalid_row_is_no_reference(run: Run, maker) -> None:
    old = maker.changed(run, "peer0.tflite", state="invalid", reason="throttled")

    assert "peer0.tflite" not in compare(old, maker.run(2, hashes="c")).references[0].names


def test_other_cores_and_another_clock_are_said(run: Run) -> None:
    new = replace(
        run,
        id="another",
        settings=replace(run.settings, cores=(4, 5)),
        before=replace(run.before, governor="powersave", frequency_hz=1.8e9),
    )
    close = replace(run, id="another", before=replace(run.before, frequency_hz=3.0e9))

    assert compare(run, new).warnings == (
        "the core pinned to was 1 and is 4 5",
        "the governor was performance and is powersave",
        "the clock was 3.10 GHz and is 1.80 GHz",
    )
    assert compare(run, close).warnings == ()


def test_a_timing_that_breaks_a_rule_is_not_compared_whatever_its_row_says(run, maker) -> None:
    old = maker.changed(run, INT8, timings=broken(run.rows[0], "throttled"))

    (refused,) = compare(old, maker.run(2)).not_compared
    assert (refused.name, refused.reason) == (INT8, "without valid samples in the first run")


@pytest.mark.parametrize("state", ["invalid", "not timed", "failed", "partial", "not run"])
def test_a_row_that_does_not_hold_is_said_with_its_reason(run: Run, maker, state: str) -> None:
    new = maker.changed(maker.run(2), INT8, state=state, reason="it is off by 2 px")
    comparison = compare(run, new)

    assert INT8 not in [change.name for change in comparison.changes]

    assert [(r.name, r.before, r.reason) for r in comparison.not_compared] == [
        (INT8, True, f"{state} in the second run: it is off by 2 px")
    ]
    assert facts_of(comparison, INT8)["state"] == ("timed", f"{state}: it is off by 2 px")


def test_rows_of_one_run_alone_are_listed(maker) -> None:
    old = maker.run(1, ours={INT8: 1e-3, "old.onnx": 1e-3})
    new = maker.run(2, ours={INT8: 1e-3, "new.onnx": 1e-3})
    comparison = compare(old, new)

    assert (comparison.only_old, comparison.only_new) == (("old.onnx",), ("new.onnx",))
    assert [(r.name, r.reason) for r in comparison.not_compared] == [
        ("old.onnx", "not in the second run")
    ]


def test_each_number_of_threads_has_its_own_reference(maker) -> None:
    old = maker.run(1, threads=(1, 2))
    new = maker.run(2, threads=(2, 4), hashes="c")
    comparison = compare(old, new)

    assert [reference.threads for reference in comparison.references] == [2]
    assert {change.threads for change in comparison.changes} == {2}
    reasons = {(r.threads, r.before, r.reason) for r in comparison.not_compared}
    assert reasons == {
        (1, True, "not measured on so many threads in the second run"),
        (4, False, "not measured on so many threads in the first run"),
    }


def test_a_changed_file_is_said(run: Run, maker) -> None:
    comparison = compare(run, maker.run(2, hashes="c"))

    assert not change_of(comparison, INT8).same_file
    assert change_of(comparison, "peer0.tflite").same_file
    assert facts_of(comparison, INT8)["sha256"] == ("a" * 12, "c" * 12)


def test_every_other_fact_that_changed_is_said(run: Run, maker) -> None:
    new = maker.changed(
        maker.run(2),
        INT8,
        size_bytes=1_000_001,
        runtime="LiteRT 2.4.0",
        kernel_family="reference",
        drift=(Drift("landmarks", "mean", "faces", 0.19, 0.5, "px"),),
        delegation=Delegation(3, 121, {"TANH": 1, "SQRT": 2}, 4),
        cost=Cost(750_000, 94_000_000, 1_000_000, 500_000, 3_000_000, {}, 90_000_000),
        operators=(
            OperatorTime("a", "CONV_2D", "", True, 1e-5),
            OperatorTime("b", "CONV_2D", "", True, 1e-5),
            OperatorTime("c", "PAD", "", True, 1e-5),
        ),
    )

    assert facts_of(compare(run, new), INT8) == {
        "size": (1_000_000, 1_000_001),
        "runtime": ("LiteRT 2.3.0", "LiteRT 2.4.0"),
        "kernels": ("xnnpack", "reference"),
        "drift of landmarks, mean over faces": (0.14, 0.19),
        "partitions": (1, 3),
        "operators of the graph": (120, 121),
        "TRANSPOSE": (2, 4),
        "undelegated: SQRT": (0, 2),
        "multiply-adds in int8": (94_000_000, 90_000_000),
        "activations": (400_000, 500_000),
        "operators: CONV_2D": (1, 2),
        "operators: PAD": (0, 1),
    }


def counted(instructions: int, vector: int, core: str = "cortex-a76") -> InstructionCounts:
    return InstructionCounts(
        core, instructions, {"vector": vector, "load": instructions - vector}, 1e-5
    )


def test_instructions_are_told_where_they_differ_beyond_their_spread(run: Run, maker) -> None:
    old = maker.changed(run, INT8, instructions=counted(19_000_000, 10_000_000))
    new = maker.run(2)

    same = maker.changed(new, INT8, instructions=counted(19_010_000, 10_000_000))
    more = maker.changed(new, INT8, instructions=counted(20_000_000, 10_000_000))
    other = maker.changed(new, INT8, instructions=counted(1, 1, "cortex-a53"))

    assert facts_of(compare(old, same), INT8) == {}
    assert facts_of(compare(old, more), INT8) == {
        "instructions": (19_000_000, 20_000_000),
        "instructions: load": (9_000_000, 10_000_000),
    }
    assert facts_of(compare(old, other), INT8) == {"emulated core": ("cortex-a76", "cortex-a53")}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("load_s", 0.008, "load"),
        ("load_s", 0.0045, None),
        ("peak_memory_bytes", 80 << 20, "peak memory"),
        ("peak_memory_bytes", 41 << 20, None),
    ],
)
def test_what_is_measured_once_is_told_where_it_moved_far(
    run: Run, maker, field: str, value: float, told: str | None
) -> None:
    new = maker.run(2)
    row = new.row(INT8)
    new = maker.changed(new, INT8, timings=(replace(row.timings[0], **{field: value}),))

    facts = compare(run, new).facts

    assert [(fact.what, fact.once) for fact in facts] == ([(told, True)] if told else [])


def test_a_drift_that_is_no_number_twice_is_no_change(run: Run, maker) -> None:
    nan = (Drift("pose", "max", "all", float("nan"), 1.0, "degree"),)

    same = compare(maker.changed(run, INT8, drift=nan), maker.changed(run, INT8, drift=nan))
    worse = compare(
        maker.changed(run, INT8, drift=(replace(nan[0], error=0.5),)),
        maker.changed(run, INT8, drift=nan),
    )

    assert same.facts == ()
    assert [fact.what for fact in worse.facts] == ["drift of pose, max over all"]


def test_a_run_against_itself_has_not_changed(run: Run) -> None:
    comparison = compare(run, run)

    assert {change.verdict for change in comparison.changes} == {""}
    assert comparison.facts == ()
    assert comparison.warnings == ("both are the same run",)
