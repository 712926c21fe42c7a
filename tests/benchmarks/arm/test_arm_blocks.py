"""Blocks that the emulator cut are one again."""

from __future__ import annotations

from atpn_benchmarks.arm.blocks import Block, chained


def test_a_block_joins_the_one_it_runs_into() -> None:
    head, tail = Block(0x1000, 5, (1, 2)), Block(0x1008, 5, (3,))

    assert chained([tail, head]) == (Block(0x1000, 5, (1, 2, 3)),)


def test_blocks_of_other_counts_or_places_stay_apart() -> None:
    blocks = (Block(0x1000, 5, (1, 2)), Block(0x1008, 6, (3,)), Block(0x2000, 6, (4,)))

    assert chained(blocks) == blocks


def test_no_instruction_is_lost_where_two_run_into_one() -> None:
    """A shorter translation of the same place ends where the longer one does not begin."""
    blocks = (
        Block(0x1000, 5, (1, 2)),
        Block(0x1004, 5, (2,)),
        Block(0x1008, 5, (3,)),
        Block(0x1000, 5, (1,)),
    )

    joined = chained(blocks)

    assert sum(block.instructions for block in joined) == sum(b.instructions for b in blocks)
    assert [block.words for block in joined] == [(1, 2), (1, 2, 3)]


def test_equal_code_is_equal_wherever_it_lies() -> None:
    assert Block(0x1000, 1, (0xD503201F, 1)).code == Block(0x9000, 7, (0xD503201F, 1)).code
    assert Block(0, 1, (1,)).code == "00000001"
