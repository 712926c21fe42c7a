"""From a counted run to estimates and to the gate, and a planted layer that the gate must catch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atpn_benchmarks.arm import estimating
from atpn_benchmarks.arm.baseline import read_baseline
from atpn_benchmarks.arm.blocks import Block
from atpn_benchmarks.arm.boards import boards_with
from atpn_benchmarks.arm.counting_run import Counted, count_on
from atpn_benchmarks.arm.counts import InstructionCounts
from atpn_benchmarks.arm.environment import Environment, default_folder
from atpn_benchmarks.arm.estimating import agree, estimates, judged
from atpn_benchmarks.arm.gate import GREW, PASSED, UNSURE
from atpn_benchmarks.arm.mca import Cycles
from atpn_benchmarks.arm.region_file import Region
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import SCHEMA, Conditions, Machine, Row, Run, Settings

MACHINE = Machine("Cortex-A76", "aarch64", 4, 0, (), "Linux", "glibc", "3.11")


def row(name: str, instructions: int = 0, *, peer: bool = False) -> Row:
    counts = InstructionCounts("cortex-a76", instructions, {"other": instructions}, 0.0)
    found = Row(name, name, "", name, "", peer, "failed", "no such file")
    return (
        replace(found, state="counted", reason="", instructions=counts) if instructions else found
    )


def run_of(*rows: Row) -> Run:
    unknown = Conditions("", None, None)
    return Run(
        schema=SCHEMA,
        id="x",
        started_at="",
        seconds=0.0,
        device="qemu:cortex-a76+caches",
        version="",
        machine=MACHINE,
        settings=Settings((1,), (), 2, 2, 0.0, 0),
        before=unknown,
        after=unknown,
        competing_load=None,
        timer_overhead_s=0.0,
        rows=rows,
    )


class FakeCycles:
    """A cycle an instruction."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    @classmethod
    def of_environment(cls, environment: Environment) -> FakeCycles:
        return cls(environment)

    def sum(self, blocks: tuple[Block, ...], core: str) -> Cycles:
        total = sum(block.instructions for block in blocks)
        return Cycles(core, float(total), total, 1.0)


def test_rows_that_were_counted_are_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "BlockCycles", FakeCycles)
    blocks = (Block(0, 1_000_000, (1, 2)),)
    counted = Counted(
        run_of(row("a", 2_000_000), row("f")),
        {"a": Region(2_000_000, blocks), "f": Region(2_000_000, blocks)},
    )

    found = estimates(counted, Environment(tmp_path))

    assert list(found) == ["a"], "a file that failed has no estimate"
    (one,) = found["a"]
    assert one.board in boards_with("cortex-a76")
    assert one.milliseconds == pytest.approx(2.0 * one.alpha / one.board.gigahertz)


def test_a_run_is_agreed_to_and_judged(tmp_path: Path) -> None:
    baseline = tmp_path / "b.json"
    agree(run_of(row("a", 1000), row("f")), (), baseline, "QEMU 7.2")

    assert list(read_baseline(baseline).of("cortex-a76")) == ["a"]
    assert read_baseline(baseline).emulator == "QEMU 7.2"
    same = judged(run_of(row("a", 1000)), (), baseline, 0.01, complete=True)
    more = judged(run_of(row("a", 1011)), (), baseline, 0.01, complete=True)
    lost = judged(run_of(row("b", 1011)), (), baseline, 0.01, complete=True)
    assert (same.exit_status, more.exit_status, lost.exit_status) == (PASSED, GREW, UNSURE)


def convolutions(folder: Path, layers: int) -> Candidate:
    """A file net.onnx of convolutions of 16 channels on 64 x 64, as one of ours."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape, weights = [1, 16, 64, 64], np.ones((16, 16, 3, 3), np.float32)
    names = ["in", *(f"t{n}" for n in range(layers))]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    nodes = [
        helper.make_node("Conv", [names[n], f"w{n}"], [names[n + 1]], f"conv{n}", pads=[1, 1, 1, 1])
        for n in range(layers)
    ]
    constants = [numpy_helper.from_array(weights, f"w{n}") for n in range(layers)]
    graph = helper.make_graph(
        nodes, "net", [values[0]], [values[-1]], constants, value_info=values[1:-1]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    onnx.save(model, folder / "net.onnx")
    found = Row("net.onnx", "net", "", "net", "", True, "not run", sha256=str(layers))
    return Candidate(found, folder / "net.onnx")


@pytest.mark.needs("qemu-arm", "onnx")
def test_a_planted_layer_is_caught_and_named(tmp_path: Path) -> None:
    baseline, verdicts = tmp_path / "b.json", []
    for layers in (2, 3):
        candidate = convolutions(tmp_path / str(layers), layers)
        with named("qemu:cortex-a76") as device:
            counted = count_on(device, BenchPlan((candidate,)), Silent())
        run = replace(counted.run, rows=tuple(replace(one, peer=False) for one in counted.run.rows))
        if layers == 2:
            agree(run, (candidate,), baseline, "")
        verdicts.append(judged(run, (candidate,), baseline, 0.01, complete=True))

    untouched, planted = verdicts
    assert (untouched.exit_status, planted.exit_status) == (PASSED, GREW)
    (line,) = planted.lines
    assert line.startswith("more instructions on cortex-a76: net.onnx: +")
    assert "its graph has more of: 1 x Conv" in line
    assert "the file is another one" in line
    (estimate,) = estimates(counted, Environment(default_folder()))["net.onnx"]
    assert 0.01 < estimate.milliseconds < 10
