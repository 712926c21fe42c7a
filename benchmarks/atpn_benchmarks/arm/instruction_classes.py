"""What an AArch64 instruction does, read off its 32 bits: no disassembler is needed for that.

The encodings are those of the Arm Architecture Reference Manual, chapter C4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

#: In the order of tables. "vector" is all other arithmetic on the vector registers, conversion,
#: permutation and single floating-point numbers included.
CLASSES = (
    *("dot product", "multiply-add", "vector multiply", "vector"),
    *("vector load", "vector store", "load", "store", "prefetch", "atomic"),
    *("branch", "scalar", "other"),
)


@dataclass(frozen=True)
class Pattern:
    """Instructions whose bits under `mask` are `value`."""

    mask: int
    value: int
    kind: str


def _pattern(bits: str, kind: str) -> Pattern:
    """From 32 bits, most significant first: 0, 1 or x for either; spaces are for the eye."""
    digits = bits.replace(" ", "")
    if len(digits) != 32:
        raise ValueError(f"{bits!r} has {len(digits)} bits")
    mask = int("".join("0" if digit == "x" else "1" for digit in digits), 2)
    return Pattern(mask, int(digits.replace("x", "0"), 2), kind)


#: The first that fits decides. Q is bit 30, U bit 29, L bit 22.
PATTERNS = tuple(
    _pattern(bits, kind)
    for bits, kind in (
        # Branches, exceptions, system
        ("11010101 00xxxxxx xxxxxxxx xxxxxxxx", "other"),  # hints, barriers, MSR, MRS
        ("11010100 xxxxxxxx xxxxxxxx xxxxxxxx", "other"),  # SVC, BRK
        ("xxx101xx xxxxxxxx xxxxxxxx xxxxxxxx", "branch"),
        # Loads and stores of the vector registers
        ("0x001100 x1xxxxxx xxxxxxxx xxxxxxxx", "vector load"),  # LD1..LD4, whole registers
        ("0x001100 x0xxxxxx xxxxxxxx xxxxxxxx", "vector store"),
        ("0x001101 x1xxxxxx xxxxxxxx xxxxxxxx", "vector load"),  # one lane, or one for all lanes
        ("0x001101 x0xxxxxx xxxxxxxx xxxxxxxx", "vector store"),
        ("xx011100 xxxxxxxx xxxxxxxx xxxxxxxx", "vector load"),  # from beside the program
        ("xx10110x x1xxxxxx xxxxxxxx xxxxxxxx", "vector load"),  # pairs
        ("xx10110x x0xxxxxx xxxxxxxx xxxxxxxx", "vector store"),
        ("xx11110x x1xxxxxx xxxxxxxx xxxxxxxx", "vector load"),
        ("xx11110x x0xxxxxx xxxxxxxx xxxxxxxx", "vector store"),
        # Loads and stores of the others
        ("11011000 xxxxxxxx xxxxxxxx xxxxxxxx", "prefetch"),
        ("11111000 100xxxxx xxxx00xx xxxxxxxx", "prefetch"),
        ("11111000 101xxxxx xxxx10xx xxxxxxxx", "prefetch"),
        ("11111001 10xxxxxx xxxxxxxx xxxxxxxx", "prefetch"),
        ("xx001000 1x1xxxxx x11111xx xxxxxxxx", "atomic"),  # compare and swap
        ("0x001000 0x1xxxxx x11111xx xxxxxxxx", "atomic"),  # of a pair
        ("xx001000 x1xxxxxx xxxxxxxx xxxxxxxx", "load"),  # exclusive, acquire
        ("xx001000 x0xxxxxx xxxxxxxx xxxxxxxx", "store"),
        ("xx011000 xxxxxxxx xxxxxxxx xxxxxxxx", "load"),
        ("xx10100x x1xxxxxx xxxxxxxx xxxxxxxx", "load"),
        ("xx10100x x0xxxxxx xxxxxxxx xxxxxxxx", "store"),
        ("xx111000 xx1xxxxx xxxx00xx xxxxxxxx", "atomic"),
        ("xx11100x 00xxxxxx xxxxxxxx xxxxxxxx", "store"),
        ("xx11100x xxxxxxxx xxxxxxxx xxxxxxxx", "load"),
        # Vector arithmetic: dot products and matrix products
        ("0xx01110 xx0xxxxx 1001x1xx xxxxxxxx", "dot product"),  # SDOT, UDOT, USDOT
        ("0xx01111 xxxxxxxx 1110x0xx xxxxxxxx", "dot product"),  # SDOT, UDOT by one element
        ("0x001111 xxxxxxxx 1111x0xx xxxxxxxx", "dot product"),  # USDOT, SUDOT by one element
        ("01x01110 100xxxxx 1010x1xx xxxxxxxx", "dot product"),  # SMMLA, UMMLA, USMMLA
        # Multiply and add
        ("0x001110 xx1xxxxx 110011xx xxxxxxxx", "multiply-add"),  # FMLA, FMLS
        ("0x001110 x10xxxxx 000011xx xxxxxxxx", "multiply-add"),  # of half precision
        ("0x001111 xxxxxxxx 0x01x0xx xxxxxxxx", "multiply-add"),  # by one element
        ("0x001110 xx1xxxxx 111011xx xxxxxxxx", "multiply-add"),  # FMLAL, FMLSL
        ("0x101110 xx1xxxxx 110011xx xxxxxxxx", "multiply-add"),  # FMLAL2, FMLSL2
        ("0xx01110 xx1xxxxx 100101xx xxxxxxxx", "multiply-add"),  # MLA, MLS
        ("0x101111 xxxxxxxx 0x00x0xx xxxxxxxx", "multiply-add"),
        ("0xx01110 xx1xxxxx 10x000xx xxxxxxxx", "multiply-add"),  # SMLAL, UMLAL, SMLSL, UMLSL
        ("0xx01111 xxxxxxxx 0x10x0xx xxxxxxxx", "multiply-add"),
        ("0x001110 xx1xxxxx 10x100xx xxxxxxxx", "multiply-add"),  # SQDMLAL, SQDMLSL
        ("0x001111 xxxxxxxx 0x11x0xx xxxxxxxx", "multiply-add"),
        ("0x101110 xx0xxxxx 1000x1xx xxxxxxxx", "multiply-add"),  # SQRDMLAH, SQRDMLSH
        ("0x101111 xxxxxxxx 11x1x0xx xxxxxxxx", "multiply-add"),
        ("00011111 xxxxxxxx xxxxxxxx xxxxxxxx", "multiply-add"),  # FMADD of single numbers
        # Multiply
        ("0x101110 0x1xxxxx 110111xx xxxxxxxx", "vector multiply"),  # FMUL
        ("0x001110 0x1xxxxx 110111xx xxxxxxxx", "vector multiply"),  # FMULX
        ("0xx01110 010xxxxx 000111xx xxxxxxxx", "vector multiply"),  # of half precision
        ("0xx01111 xxxxxxxx 1001x0xx xxxxxxxx", "vector multiply"),  # by one element
        ("0xx01110 xx1xxxxx 100111xx xxxxxxxx", "vector multiply"),  # MUL, PMUL
        ("0x001111 xxxxxxxx 1000x0xx xxxxxxxx", "vector multiply"),
        ("0xx01110 xx1xxxxx 110000xx xxxxxxxx", "vector multiply"),  # SMULL, UMULL
        ("0xx01111 xxxxxxxx 1010x0xx xxxxxxxx", "vector multiply"),
        ("0x001110 xx1xxxxx 11x100xx xxxxxxxx", "vector multiply"),  # SQDMULL
        ("0x001111 xxxxxxxx 1011x0xx xxxxxxxx", "vector multiply"),
        ("0xx01110 xx1xxxxx 101101xx xxxxxxxx", "vector multiply"),  # SQDMULH, SQRDMULH
        ("0x001111 xxxxxxxx 110xx0xx xxxxxxxx", "vector multiply"),
        ("00011110 xx1xxxxx x00010xx xxxxxxxx", "vector multiply"),  # FMUL of single numbers
        # The rest
        ("xxxx111x xxxxxxxx xxxxxxxx xxxxxxxx", "vector"),
        ("xxx100xx xxxxxxxx xxxxxxxx xxxxxxxx", "scalar"),
        ("xxxx101x xxxxxxxx xxxxxxxx xxxxxxxx", "scalar"),
    )
)


@lru_cache(maxsize=1 << 16)
def class_of(word: int) -> str:
    """The class of an instruction; "other" is what the system sees of it: hints, barriers."""
    for pattern in PATTERNS:
        if word & pattern.mask == pattern.value:
            return pattern.kind
    return "other"


def by_class(executed: Iterable[tuple[int, int]]) -> dict[str, int]:
    """From pairs of an instruction and how often it ran to the sum of each class that ran."""
    sums = dict.fromkeys(CLASSES, 0)
    for word, count in executed:
        sums[class_of(word)] += count
    return {kind: count for kind, count in sums.items() if count}
