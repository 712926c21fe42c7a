"""The plugin's account of a region, read and held against its own sum."""

from __future__ import annotations

import pytest

from atpn_benchmarks.arm.counts import CacheCounts, InstructionCounts
from atpn_benchmarks.arm.region_file import read_region
from atpn_deploy.errors import ArmError

REGION = """\
block 5500001000 100 4f80e0904e2acc3e54000441
block 5500002000 1 d65f03c0
data 40 7
cache 1 47 5
cache 2 5 2
clock 1000 0
clock 2500 301
end 301
"""


def test_blocks_hold_their_instructions_and_how_often_they_ran() -> None:
    region = read_region(REGION)

    loop, last = region.blocks
    assert (loop.address, loop.count) == (0x5500001000, 100)
    assert loop.words == (0x4F80E090, 0x4E2ACC3E, 0x54000441)
    assert last.instructions == 1
    assert region.instructions == 301
    assert region.by_class == {"dot product": 100, "multiply-add": 100, "branch": 101}


def test_caches_and_clock_are_there_if_they_were_asked_for() -> None:
    region = read_region(REGION)

    assert region.caches == CacheCounts(loads=40, stores=7, l1_misses=5, l2_misses=2)
    assert [reading.instructions for reading in region.readings] == [0, 301]
    assert read_region("block 10 1 d65f03c0\nend 1\n").caches is None


def test_a_file_that_was_cut_short_is_refused() -> None:
    with pytest.raises(ArmError, match="cut short"):
        read_region(REGION.rpartition("end")[0])


def test_a_block_that_is_missing_is_found_by_the_sum() -> None:
    lines = REGION.splitlines(keepends=True)

    with pytest.raises(ArmError, match="its blocks hold 300 instructions, its sum says 301"):
        read_region("".join(lines[:1] + lines[2:]))


def test_vector_share_is_of_all_instructions() -> None:
    counts = InstructionCounts("cortex-a76", 400, {"dot product": 100, "branch": 300}, 0.0)

    assert counts.vector_share == 0.25
