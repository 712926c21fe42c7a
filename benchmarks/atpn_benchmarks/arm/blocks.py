"""Blocks of instructions that a region of a guest's program executed, and how often."""

from __future__ import annotations

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
