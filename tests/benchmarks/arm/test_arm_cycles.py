"""Cycles of blocks: what llvm-mca is asked, what it answers, what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from atpn_benchmarks.arm import mca
from atpn_benchmarks.arm.blocks import Block
from atpn_benchmarks.arm.environment import Environment, default_folder
from atpn_benchmarks.arm.mca import BlockCycles, Llvm, assembly, cycles_in, disassemble, simulate
from atpn_benchmarks.arm.schedules import SCHEDULES, Schedule, schedule_of
from atpn_deploy.errors import ArmError

NOP, RET, FMLA = 0xD503201F, 0xD65F03C0, 0x4E22CC20  # fmla v0.4s, v1.4s, v2.4s
LOAD = 0x3CC10400  # ldr q0, [x0], #16

#: Answers as both tools: every word disassembles to an add, every region takes COST cycles.
FAKE = """
import json, re, sys
if "--version" in sys.argv:
    print("LLVM version 19.1.7")
elif "--disassemble" in sys.argv:
    for line in sys.stdin:
        print("\\tadd x0, x0, x1 // encoding: [" + ",".join(line.split()) + "]")
else:
    regions = re.findall("BEGIN ([0-9]+)", sys.stdin.read())
    view = {"TotalCycles": COST * 40, "Iterations": 40}
    print(json.dumps({"CodeRegions": [{"Name": n, "SummaryView": view} for n in regions]}))
"""


def fake(folder: Path, cost: float) -> Llvm:
    script = folder / f"llvm-{cost}.py"
    script.write_text(FAKE.replace("COST", str(cost)))
    words = (sys.executable, str(script))
    return Llvm(words, words)


def test_cycles_are_summed_over_executions(tmp_path: Path) -> None:
    cycles = BlockCycles(fake(tmp_path, 2.5), tmp_path / "kept.sqlite")

    found = cycles.sum([Block(0, 1000, (NOP, RET)), Block(64, 10, (RET,))], "cortex-a76")

    # The second block holds 0.5 % of the instructions and is not simulated, but counted for.
    assert found.instructions == 2010
    assert found.covered == pytest.approx(2000 / 2010)
    assert found.cycles == pytest.approx(2500 * 2010 / 2000)


def test_nothing_executed_takes_nothing(tmp_path: Path) -> None:
    cycles = BlockCycles(fake(tmp_path, 1), tmp_path / "kept.sqlite")

    assert cycles.sum([], "cortex-a76").cycles == 0


def test_a_known_block_is_not_simulated_again(tmp_path: Path) -> None:
    kept, blocks = tmp_path / "kept.sqlite", [Block(0, 1, (NOP,))]
    BlockCycles(fake(tmp_path, 2), kept).sum(blocks, "cortex-a76")

    again = BlockCycles(fake(tmp_path, 9), kept)

    assert again.sum(blocks, "cortex-a76").cycles == 2
    assert again.sum(blocks, "cortex-a72").cycles == 9, "another schedule is another matter"
    assert again.sum([Block(0, 1, (RET,))], "cortex-a76").cycles == 9, "and so is another block"


def test_the_marker_is_one_that_llvm_mca_sees() -> None:
    text = assembly([(FMLA, 7)], {FMLA: "fmla v0.4s, v1.4s, v2.4s"})

    assert text.splitlines() == [
        "# LLVM-MCA-BEGIN 0",
        "fmla v0.4s, v1.4s, v2.4s",
        "nop",  # a word that is no instruction
        "# LLVM-MCA-END 0",
    ]


def test_a_call_of_the_system_has_no_schedule() -> None:
    assert "svc" not in assembly([(1,)], {1: "svc #0"})
    assert "dczid" not in assembly([(1,)], {1: "mrs x0, dczid_el0"})
    assert "icall" in assembly([(1,)], {1: "icall x0"}), "only whole words are meant"


@pytest.mark.parametrize(
    "report", ["", "{}", '{"CodeRegions": []}', '{"CodeRegions": [{"Name": "0"}]}']
)
def test_an_answer_without_the_cycles_is_refused(report: str) -> None:
    with pytest.raises(ArmError, match="cycles of 1 blocks"):
        cycles_in(report, 1)


def test_cycles_are_those_of_one_iteration_in_the_order_asked() -> None:
    view = {"TotalCycles": 403, "Iterations": 40}
    regions = [
        {"Name": "1", "SummaryView": view},
        {"Name": "0", "SummaryView": {**view, "TotalCycles": 80}},
    ]

    assert cycles_in("warning\n" + json.dumps({"CodeRegions": regions}), 2) == [2.0, 10.075]


def test_a_tool_that_fails_is_named(tmp_path: Path) -> None:
    failing = (sys.executable, "-c", "import sys; sys.exit('no such cpu')")
    with pytest.raises(ArmError, match="ended with status 1: no such cpu"):
        mca.answer(failing, "")
    with pytest.raises(ArmError, match="setup-arm"):
        mca.answer((str(tmp_path / "absent"),), "")
    with pytest.raises(ArmError, match="holds no llvm-mca"):
        Llvm.of(Environment(tmp_path))


def test_in_order_cores_load_and_advance_at_once() -> None:
    a55 = schedule_of("cortex-a55")

    assert a55.rewritten("ldr\tq0, [x0], #16") == "ldr\tq0, [x0]"
    assert a55.rewritten("ld1\t{ v0.4s, v1.4s }, [x2], x3") == "ld1\t{ v0.4s, v1.4s }, [x2]"
    assert a55.rewritten("stp\tx29, x30, [sp, #-16]!") == "stp\tx29, x30, [sp, #-16]"
    assert a55.rewritten("mov\tv1.d[1], x21") == "mov\tv1.d[1], x21", "no load"
    assert schedule_of("cortex-a76").rewritten("ldr\tq0, [x0], #16") == "ldr\tq0, [x0], #16"


def test_whole_vectors_take_both_pipes_of_a_small_core() -> None:
    texts = [
        "fmla\tv0.4s, v1.4s, v2.s[0]",
        "ldr\tq0, [x0]",
        "ld1\t{ v0.4s }, [x0]",
        "add x0, x0, x1",
    ]

    assert schedule_of("cortex-a53").least_cycles(texts) == 1
    assert schedule_of("cortex-a76").least_cycles(texts) == 0


def test_the_a72_divides_faster_than_the_schedule_that_llvm_lends_it() -> None:
    a72 = schedule_of("cortex-a72")

    assert a72.rewritten("fdiv\tv0.4s, v1.4s, v2.4s") == "fdiv\tv0.2s, v1.2s, v2.2s"
    assert a72.rewritten("fmul\tv0.4s, v1.4s, v2.4s") == "fmul\tv0.4s, v1.4s, v2.4s"


@pytest.fixture(scope="module")
def llvm() -> Llvm:
    return Llvm.of(Environment(default_folder()))


@pytest.mark.needs("qemu-arm")
def test_words_become_assembly(llvm: Llvm) -> None:
    found = disassemble(llvm, [FMLA, RET, LOAD, 0xFFFFFFFF])

    assert found[FMLA].split() == ["fmla", "v0.4s,", "v1.4s,", "v2.4s"]
    assert found[RET] == "ret"
    assert 0xFFFFFFFF not in found, "no instruction"


@pytest.mark.needs("qemu-arm")
@pytest.mark.parametrize("core", SCHEDULES)
def test_every_core_has_cycles(llvm: Llvm, core: str) -> None:
    chain, independent = simulate(
        llvm,
        [(FMLA,) * 8, tuple(FMLA - 0x20 + number for number in range(8))],
        schedule_of(core),
    )

    assert chain >= 8, "each waits for the one before"
    assert 4 <= independent <= chain


@pytest.mark.needs("qemu-arm")
def test_small_cores_pass_one_whole_vector_a_cycle(llvm: Llvm) -> None:
    block = tuple(0x4E3ECFE0 + number for number in range(20))  # fmla vN.4s, v31.4s, v30.4s

    (with_limit,) = simulate(llvm, [block], schedule_of("cortex-a55"))
    (without,) = simulate(llvm, [block], Schedule("cortex-a55"))

    assert with_limit == 20
    assert without == pytest.approx(10, abs=1)
