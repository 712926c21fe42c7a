"""Cycles of executed blocks by llvm-mca: what a core needs if every access hits its cache."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.arm.blocks import Block, chained
from atpn_benchmarks.arm.environment import SETUP, Environment, unpacked
from atpn_benchmarks.arm.schedules import FEATURES, Schedule, schedule_of
from atpn_deploy.errors import ArmError

#: Share of the instructions whose blocks are simulated; the rest is thousands of blocks that run
#: once or twice, and counts as much an instruction as those.
COVERAGE = 0.99

#: Times that a block is simulated in a row: enough that filling the pipeline does not show.
ITERATIONS = 40

#: Blocks in one call of llvm-mca.
BATCH = 100

#: Without a schedule: barriers and calls of the system. They cost what an instruction costs.
UNSCHEDULED = re.compile(r"(svc|brk|hint|mrs|msr|dmb|dsb|isb|sys|dc|ic|at|tlbi)\b")

#: Beside the environment's parts: cycles of blocks that were simulated before.
KEPT = "block-cycles.sqlite"

SILENCE_S = 300


@dataclass(frozen=True)
class Llvm:
    """llvm-mc and llvm-mca: the words that start each."""

    mc: tuple[str, ...]
    mca: tuple[str, ...]

    @classmethod
    def of(cls, environment: Environment) -> Llvm:
        """Those of an environment; ArmError if it has none."""
        found = sorted(environment.llvm.glob("usr/lib/llvm-*/bin/llvm-mca"))
        if not found:
            raise ArmError(f"{environment.llvm} holds no llvm-mca: {SETUP}")
        words = [
            tuple(unpacked(environment.llvm, found[-1].with_name(name)))
            for name in ("llvm-mc", "llvm-mca")
        ]
        return cls(*words)

    def version(self) -> str:
        """As llvm-mca tells it: 19.1.7."""
        found = re.search(r"version (\S+)", answer((*self.mca, "--version"), ""))
        return found.group(1) if found else ""


def answer(words: Sequence[str], text: str) -> str:
    """What a program answers to `text`; ArmError where it fails."""
    try:
        done = subprocess.run(
            list(words), input=text, capture_output=True, text=True, check=False, timeout=SILENCE_S
        )
    except OSError as error:
        raise ArmError(f"cannot run {words[0]}: {error.strerror}; {SETUP}") from error
    except subprocess.TimeoutExpired as error:
        raise ArmError(f"{' '.join(words)} did not end within {SILENCE_S} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise ArmError(f"{' '.join(words)} ended with status {done.returncode}: {last}")
    return done.stdout


@dataclass(frozen=True)
class Cycles:
    """What the blocks of one inference take on a core by its schedule."""

    core: str  # cortex-a76
    cycles: float
    instructions: int
    covered: float  # share of the instructions that were simulated, 0..1


class BlockCycles:
    """Cycles an execution of each block, kept in a file by what the block consists of."""

    def __init__(self, llvm: Llvm, file: Path) -> None:
        self._llvm = llvm
        self._file = file
        self._version = ""

    @classmethod
    def of_environment(cls, environment: Environment) -> BlockCycles:
        """With the tools of an environment, kept there."""
        return cls(Llvm.of(environment), environment.folder / KEPT)

    def sum(self, blocks: Iterable[Block], core: str) -> Cycles:
        """The cycles of all blocks of one inference on a core."""
        ordered = sorted(chained(blocks), key=lambda block: -block.instructions)
        total = sum(block.instructions for block in ordered)
        hot, covered = [], 0
        for block in ordered:
            if covered >= COVERAGE * total:
                break
            hot.append(block)
            covered += block.instructions
        each = self.each({block.code: block.words for block in hot}, schedule_of(core))
        cycles = sum(block.count * each[block.code] for block in hot)
        if not total:
            return Cycles(core, 0.0, 0, 1.0)
        return Cycles(core, cycles * total / covered, total, covered / total)

    def each(self, wanted: Mapping[str, tuple[int, ...]], schedule: Schedule) -> dict[str, float]:
        """Cycles by code: those that are known, and the others simulated now."""
        self._version = self._version or self._llvm.version()
        keys = {code: self._key(code, schedule) for code in wanted}
        known: dict[str, float] = {}
        with closing(sqlite3.connect(self._file, timeout=60)) as file:
            file.execute("create table if not exists cycles (key text primary key, cycles real)")
            for code, key in keys.items():
                row = file.execute("select cycles from cycles where key = ?", (key,)).fetchone()
                if row is not None:
                    known[code] = row[0]
            missing = [code for code in wanted if code not in known]
            for first in range(0, len(missing), BATCH):
                batch = missing[first : first + BATCH]
                found = simulate(self._llvm, [wanted[code] for code in batch], schedule)
                known.update(zip(batch, found, strict=True))
                rows = [(keys[code], known[code]) for code in batch]
                with file:  # a transaction
                    file.executemany("insert or replace into cycles values (?, ?)", rows)
        return known

    def _key(self, code: str, schedule: Schedule) -> str:
        parts = (self._version, repr(schedule), FEATURES, str(ITERATIONS), code)
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


def simulate(llvm: Llvm, blocks: Sequence[tuple[int, ...]], schedule: Schedule) -> list[float]:
    """Cycles an execution of each block, in a row with itself."""
    texts = disassemble(llvm, {word for words in blocks for word in words})
    rewritten = {word: schedule.rewritten(text) for word, text in texts.items()}
    options = (
        "-mtriple=aarch64",
        f"-mcpu={schedule.model}",
        f"-mattr={FEATURES}",
        f"-iterations={ITERATIONS}",
        *("-json", "-instruction-info=0", "-resource-pressure=0"),
        "-skip-unsupported-instructions=lack-sched",
    )
    found = cycles_in(answer((*llvm.mca, *options), assembly(blocks, rewritten)), len(blocks))
    least = [schedule.least_cycles(texts.get(word, "") for word in words) for words in blocks]
    return [max(pair) for pair in zip(found, least, strict=True)]


def assembly(blocks: Sequence[tuple[int, ...]], texts: Mapping[int, str]) -> str:
    """The input of llvm-mca: a region a block.

    The marker is `#`; that of aarch64's own comments, `//`, is passed over without a word.
    """
    lines = []
    for number, words in enumerate(blocks):
        lines.append(f"# LLVM-MCA-BEGIN {number}")
        for word in words:
            text = texts.get(word, "nop")
            lines.append("nop" if UNSCHEDULED.match(text) else text)
        lines.append(f"# LLVM-MCA-END {number}")
    return "\n".join(lines) + "\n"


def cycles_in(report: str, count: int) -> list[float]:
    """Cycles an iteration of the regions 0 to count - 1 in the JSON that llvm-mca reports."""
    try:
        found = {
            int(region["Name"]): region["SummaryView"]["TotalCycles"]
            / region["SummaryView"]["Iterations"]
            for region in json.loads(report[report.index("{") :])["CodeRegions"]
        }
        return [found[number] for number in range(count)]
    except (ValueError, KeyError, TypeError) as error:
        raise ArmError(
            f"llvm-mca was asked for the cycles of {count} blocks and reports {report[:80]!r}"
        ) from error


def disassemble(llvm: Llvm, words: Iterable[int]) -> dict[int, str]:
    """Assembly of each word that is an instruction; a word that is none is left out."""
    ordered = sorted(set(words))
    text = "\n".join(
        " ".join(f"{byte:#04x}" for byte in word.to_bytes(4, "little")) for word in ordered
    )
    options = ("--disassemble", "--show-encoding", "-triple=aarch64", "-mattr=+all")
    found = {}
    for line in answer((*llvm.mc, *options), text).splitlines():
        instruction, _, encoding = line.partition("// encoding: [")
        if encoding:
            encoded = bytes(int(byte, 16) for byte in encoding.rstrip("] ").split(","))
            found[int.from_bytes(encoded, "little")] = instruction.strip()
    return found
