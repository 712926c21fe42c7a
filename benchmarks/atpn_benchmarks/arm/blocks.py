"""Blocks of instructions that a region of a guest's program executed, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Instructions without a branch into their midst, as the emulator translated them."""

    address: int
    count: int  # executions
    words: tuple[int, ...]  # the instructions, 32 bits each

    @property
    def instructions(self) -> int:
        """Instructions that it executed in all."""
        return self.count * len(self.words)

    @property
    def code(self) -> str:
        """Eight hexadecimal digits an instruction: equal for equal blocks, wherever they lie."""
        return "".join(f"{word:08x}" for word in self.words)


def chained(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks joined with those they run into, so that a loop's body is one block again.

    The emulator cuts long bodies: at the end of a page, and after some ninety instructions. A
    block whose end is the beginning of another, equally often executed, is taken to run into it.
    """
    remaining = sorted(blocks, key=lambda block: (block.address, block.count, len(block.words)))
    starts = {(block.address, block.count): number for number, block in enumerate(remaining)}
    followers = {
        number: starts[end]
        for number, block in enumerate(remaining)
        if (end := (block.address + 4 * len(block.words), block.count)) in starts
    }
    begun = dict.fromkeys(followers.values())  # by whom each follower was taken first
    for number, follower in followers.items():
        if begun[follower] is None:
            begun[follower] = number
    joined = []
    for number, block in enumerate(remaining):
        if number in begun:
            continue
        words, last = list(block.words), number
        while last in followers and begun[followers[last]] == last:
            last = followers[last]
            words += remaining[last].words
        joined.append(Block(block.address, block.count, tuple(words)))
    return tuple(joined)
