"""What the emulator's plugin writes of one region; regions.c says in which form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from atpn_benchmarks.arm.blocks import Block
from atpn_benchmarks.arm.counts import CacheCounts
from atpn_benchmarks.arm.instruction_classes import by_class
from atpn_deploy.errors import ArmError


@dataclass(frozen=True)
class ClockReading:
    """The program asked for the time: how far it was."""

    ns: int  # CLOCK_MONOTONIC of the emulating machine
    instructions: int  # since the region began


@dataclass(frozen=True)
class Region:
    """Everything that one region executed."""

    instructions: int
    blocks: tuple[Block, ...]
    caches: CacheCounts | None = None
    readings: tuple[ClockReading, ...] = ()

    @cached_property
    def by_class(self) -> dict[str, int]:
        """Executed instructions of each class."""
        return by_class((word, block.count) for block in self.blocks for word in block.words)


def read_region(text: str) -> Region:
    """Read a region's file; ArmError where it was cut short or its blocks miss the sum."""
    blocks: list[Block] = []
    readings: list[ClockReading] = []
    accesses: list[int] = []
    misses: dict[int, int] = {}
    for line in text.splitlines():
        kind, *values = line.split()
        if kind == "block":
            address, count, code = values
            blocks.append(Block(int(address, 16), int(count), tuple(_words(code))))
        elif kind == "clock":
            readings.append(ClockReading(*map(int, values)))
        elif kind == "data":
            accesses = [int(value) for value in values]
        elif kind == "cache":
            misses[int(values[0])] = int(values[2])
        elif kind == "end":
            caches = None
            if accesses:
                loads, stores = accesses
                caches = CacheCounts(loads, stores, misses[1], misses[2])
            return _whole(Region(int(values[0]), tuple(blocks), caches, tuple(readings)))
    raise ArmError("the emulator's account of a region is cut short; is the disk full?")


def _words(code: str) -> Iterator[int]:
    for start in range(0, len(code), 8):
        yield int(code[start : start + 8], 16)


def _whole(region: Region) -> Region:
    found = sum(block.instructions for block in region.blocks)
    if found != region.instructions:
        raise ArmError(
            f"the emulator's account of a region is damaged: its blocks hold {found:,} "
            f"instructions, its sum says {region.instructions:,}"
        )
    return region
