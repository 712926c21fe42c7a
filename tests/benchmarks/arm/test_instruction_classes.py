"""The class of an instruction by its bits, held against what a disassembler calls it."""

from __future__ import annotations

import pytest

from atpn_benchmarks.arm.counts import VECTOR
from atpn_benchmarks.arm.instruction_classes import CLASSES, by_class, class_of

#: Words of LiteRT's and ONNX Runtime's kernels with the text that a disassembler gives them.
WORDS = (
    (0x4F80E090, "sdot v16.4s, v4.16b, v0.4b[0]", "dot product"),
    (0x6F84E010, "udot v16.4s, v0.16b, v4.4b[0]", "dot product"),
    (0x4E809400, "sdot v0.4s, v0.16b, v0.16b", "dot product"),
    (0x4E2ACC3E, "fmla v30.4s, v1.4s, v10.4s", "multiply-add"),
    (0x4EA3CC23, "fmls v3.4s, v1.4s, v3.4s", "multiply-add"),
    (0x4EB894BF, "mla v31.4s, v5.4s, v24.4s", "multiply-add"),
    (0x0E3582D7, "smlal v23.8h, v22.8b, v21.8b", "multiply-add"),
    (0x1F1253D4, "fmadd s20, s30, s18, s20", "multiply-add"),
    (0x1E3F0BFE, "fmul s30, s31, s31", "vector multiply"),
    (0x4EBD9FFF, "mul v31.4s, v31.4s, v29.4s", "vector multiply"),
    (0x0E20C0D7, "smull v23.8h, v6.8b, v0.8b", "vector multiply"),
    (0x4F83C252, "sqdmulh v18.4s, v18.4s, v3.s[0]", "vector multiply"),
    (0x4EB18470, "add v16.4s, v3.4s, v17.4s", "vector"),
    (0x6E201FDE, "eor v30.16b, v30.16b, v0.16b", "vector"),
    (0x1E312BFF, "fadd s31, s31, s17", "vector"),
    (0x4E21AA52, "fcvtns v18.4s, v18.4s", "vector"),
    (0x4E39F679, "fmax v25.4s, v19.4s, v25.4s", "vector"),
    (0x0E771252, "saddw v18.4s, v18.4s, v23.4h", "vector"),
    (0x1E620000, "scvtf d0, w0", "vector"),
    (0x4E9938F1, "zip1 v17.4s, v7.4s, v25.4s", "vector"),
    (0x4C407041, "ld1 {v1.16b}, [x2]", "vector load"),
    (0x4D40C800, "ld1r {v0.4s}, [x0]", "vector load"),
    (0x4C4008BC, "ld4 {v28.4s, v29.4s, v30.4s, v31.4s}, [x5]", "vector load"),
    (0xAD40F83F, "ldp q31, q30, [x1, #0x10]", "vector load"),
    (0xFD58CBEE, "ldr d14, [sp, #0x3190]", "vector load"),
    (0x3CC0805D, "ldur q29, [x2, #8]", "vector load"),
    (0x4C00A0DE, "st1 {v30.16b, v31.16b}, [x6]", "vector store"),
    (0xAD3EFC1F, "stp q31, q31, [x0, #-0x30]", "vector store"),
    (0xFD18CBEE, "str d14, [sp, #0x3190]", "vector store"),
    (0x3C9F0280, "stur q0, [x20, #-0x10]", "vector store"),
    (0xC8DFFC01, "ldar x1, [x0]", "load"),
    (0xA94153F3, "ldp x19, x20, [sp, #0x10]", "load"),
    (0xF9402EC0, "ldr x0, [x22, #0x58]", "load"),
    (0x394603E1, "ldrb w1, [sp, #0x180]", "load"),
    (0xF85F8001, "ldur x1, [x0, #-8]", "load"),
    (0x889FFC40, "stlr w0, [x2]", "store"),
    (0xA9BC7BFD, "stp x29, x30, [sp, #-0x40]!", "store"),
    (0xF900C7FF, "str xzr, [sp, #0x188]", "store"),
    (0x390603E0, "strb w0, [sp, #0x180]", "store"),
    (0xF81F8300, "stur x0, [x24, #-8]", "store"),
    (0xF98001A4, "prfm pldl3keep, [x13]", "prefetch"),
    (0x88E07C41, "casa w0, w1, [x2]", "atomic"),
    (0xB8E00020, "ldaddal w0, w0, [x1]", "atomic"),
    (0xF8A08020, "swpa x0, x0, [x1]", "atomic"),
    (0x54000441, "b.ne #0x88", "branch"),
    (0x97FE13A8, "bl #0xfffffffffff84ea0", "branch"),
    (0xB4002C77, "cbz x23, #0x58c", "branch"),
    (0xD65F03C0, "ret", "branch"),
    (0x91210000, "add x0, x0, #0x840", "scalar"),
    (0xF000D075, "adrp x21, #0x1a0f000", "scalar"),
    (0xEB01037F, "cmp x27, x1", "scalar"),
    (0x9A8090B4, "csel x20, x5, x0, ls", "scalar"),
    (0xD27F0013, "eor x19, x0, #2", "scalar"),
    (0x9B160441, "madd x1, x2, x22, x1", "scalar"),
    (0x9AC208EB, "udiv x11, x7, x2", "scalar"),
    (0xD503201F, "nop", "other"),
    (0xD503245F, "bti c", "other"),
    (0xD50B7423, "dc zva, x3", "other"),
    (0xD53BD043, "mrs x3, tpidr_el0", "other"),
    (0xD4000001, "svc #0", "other"),
    (0x00000000, "udf #0", "other"),
)


@pytest.mark.parametrize(("word", "kind"), [pytest.param(w, k, id=t) for w, t, k in WORDS])
def test_class_is_the_disassemblers(word: int, kind: str) -> None:
    assert class_of(word) == kind


def test_every_class_is_met() -> None:
    assert {kind for _, _, kind in WORDS} == set(CLASSES)
    assert set(VECTOR) < set(CLASSES)


def test_a_class_counts_how_often_its_instructions_ran() -> None:
    assert by_class([(0x4F80E090, 3), (0x6F84E010, 4), (0xD65F03C0, 1)]) == {
        "dot product": 7,
        "branch": 1,
    }
