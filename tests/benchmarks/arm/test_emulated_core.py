"""The real thing: runtimes' own ARM kernels under QEMU, counted and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.arm.counting_run import Counted, count_on
from atpn_benchmarks.arm.counts import InstructionCounts
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.guest_archive import write_guest
from atpn_benchmarks.peak_files import peak_files
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import Row
from atpn_benchmarks.vectors_parity import hold_vectors

pytestmark = pytest.mark.needs("qemu-arm", "litert", "onnx")

Count = Callable[[str], Counted]

#: Whose profilers are listened to.
FORMATS = (".tflite", ".onnx")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One convolution in each precision and format."""
    return {path.name: path for path in peak_files(tmp_path_factory.mktemp("files"))}


@pytest.fixture(scope="module")
def count(files: dict[str, Path]) -> Iterator[Count]:
    """`count(device)` counts an int8 convolution on it, once a module."""
    done: dict[str, Counted] = {}
    name, path = next((n, p) for n, p in files.items() if "int8" in n and p.suffix == ".tflite")
    row = Row(name, name, "", name, "", True, "not run")

    def run(text: str) -> Counted:
        if text not in done:
            with named(text) as device:
                done[text] = count_on(device, BenchPlan((Candidate(row, path),)), Silent())
        return done[text]

    return run


@pytest.fixture(scope="module")
def with_operators(files: dict[str, Path]) -> Counted:
    """A float convolution in both formats, operator by operator."""
    chosen = [next(p for n, p in files.items() if "fp32" in n and p.suffix == s) for s in FORMATS]
    candidates = [
        Candidate(Row(path.name, path.name, "", path.name, "", True, "not run"), path)
        for path in chosen
    ]
    with named("qemu:cortex-a76") as device:
        return count_on(device, BenchPlan(tuple(candidates)), Silent(), operators=True)


def counts_of(counted: Counted) -> InstructionCounts:
    (row,) = counted.run.rows
    assert (row.state, row.reason) == ("counted", "")
    assert row.instructions is not None
    return row.instructions


def test_a_core_runs_the_kernels_that_are_made_for_it(count: Count) -> None:
    a76 = counts_of(count("qemu:cortex-a76+caches"))
    a53 = counts_of(count("qemu:cortex-a53"))

    assert a76.by_class["dot product"] > 0.1 * a76.instructions
    assert "dot product" not in a53.by_class  # the A53 has no such instruction
    assert a53.instructions > 1.5 * a76.instructions


def test_the_machine_is_the_core_and_says_that_it_is_emulated(count: Count) -> None:
    run = count("qemu:cortex-a53").run

    assert (run.machine.cpu, run.machine.architecture) == ("Cortex-A53", "aarch64")
    assert run.machine.board == "emulated by QEMU"
    assert run.rows[0].kernel_family == "litert-xnnpack"


def test_counts_repeat_within_a_run_and_over_processes(
    count: Count, files: dict[str, Path]
) -> None:
    with named("qemu:cortex-a53") as device:
        row = count("qemu:cortex-a53").run.rows[0]
        candidate = Candidate(replace(row, state="not run", instructions=None), files[row.name])
        again = counts_of(count_on(device, BenchPlan((candidate,)), Silent()))

    first = counts_of(count("qemu:cortex-a53"))
    assert first.spread < 1e-4
    assert again.instructions == pytest.approx(first.instructions, rel=1e-4)


def test_caches_are_simulated_where_they_are_asked_for(count: Count) -> None:
    counts = counts_of(count("qemu:cortex-a76+caches"))

    assert counts.caches is not None
    loads = sum(n for kind, n in counts.by_class.items() if kind in ("load", "vector load"))
    assert 0.9 * loads < counts.caches.loads < 3 * loads  # a pair is two accesses
    assert 0 <= counts.caches.l2_misses <= counts.caches.l1_misses < 0.1 * counts.caches.loads
    assert counts.caches.l1_misses > 0
    assert counts_of(count("qemu:cortex-a53")).caches is None


def test_classes_sum_to_all_instructions(count: Count) -> None:
    counts = counts_of(count("qemu:cortex-a76+caches"))

    assert sum(counts.by_class.values()) == counts.instructions


def test_an_operator_takes_what_its_inference_takes(with_operators: Counted) -> None:
    assert with_operators.run.problems == ()
    for row in with_operators.run.rows:
        assert row.instructions is not None
        (operator,) = row.instructions.operators
        assert operator.kind.lower().startswith("conv")
        # The Python call around it is some 20,000; ONNX Runtime's profiler adds of its own.
        assert operator.instructions == pytest.approx(row.instructions.instructions, abs=80_000)


def test_crop_and_tracker_say_the_same_on_arm(tmp_path: Path) -> None:
    write_guest(tmp_path / "guest.pyz")
    with named("qemu:cortex-a76") as device:
        device.push({"guest.pyz": tmp_path / "guest.pyz"})

        found = hold_vectors(device)

    assert found.mismatches == ()
    assert found.ok
    assert found.equal_crops == found.cases["crop"]
    assert set(found.cases) == {"crop", "tracking", "smoothing"}
