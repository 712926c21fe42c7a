"""Cycles of executed blocks by llvm-mca: what a core needs if every access hits its cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.arm.blocks import Block
from atpn_benchmarks.devices.device import DeviceError
from atpn_deploy.errors import MissingToolError

#: The scheduling model of LLVM that stands for each core. Its Cortex-A53 expects 0.31 NEON
#: instructions a cycle, so the A53 borrows the model of its successor, which is in-order as well.
MODELS = {
    "cortex-a53": "cortex-a55",
    "cortex-a55": "cortex-a55",
    "cortex-a72": "cortex-a72",
    "cortex-a76": "neoverse-n1",  # the same core, for servers; LLVM has no model of the A76
}

#: What the blocks may hold beside the base set: a model's own list lacks what it borrows.
FEATURES = "+dotprod,+fullfp16,+fp16fml,+rdm,+lse,+crc,+aes,+sha2,+rcpc"

#: Share of the instructions whose blocks are simulated; the rest is thousands of blocks that run
#: once or twice, and counts as much an instruction as those.
COVERAGE = 0.99

#: Times that a block is simulated in a row: enough that filling the pipeline does not show.
ITERATIONS = 40

#: Blocks in one call of llvm-mca.
BATCH = 100

#: Without a schedule: barriers and calls of the system. They cost what an instruction costs.
UNSCHEDULED = re.compile(r"(svc|brk|hint|mrs|msr|dmb|dsb|isb|sys|dc|ic|at)\b")

SILENCE_S = 300


@dataclass(frozen=True)
class Llvm:
    """llvm-mc and llvm-mca, unpacked or installed."""

    mc: Path
    mca: Path
    libraries: tuple[Path, ...] = ()  # folders that theirs are looked for in

    @classmethod
    def below(cls, root: Path) -> Llvm:
        """Those of Debian packages unpacked in a folder; MissingToolError if there are none."""
        found = sorted(root.glob("usr/lib/llvm-*/bin/llvm-mca"))
        if not found:
            raise MissingToolError(f"no llvm-mca below {root}: type atpn-bench setup-arm")
        binaries = found[-1].parent
        libraries = (binaries.parent / "lib", *sorted((root / "usr/lib").glob("*-linux-gnu")))
        return cls(binaries / "llvm-mc", binaries / "llvm-mca", libraries)

    def version(self) -> str:
        """As llvm-mca tells it: 19.1.7."""
        found = re.search(r"version (\S+)", self.run(self.mca, ["--version"], ""))
        return found.group(1) if found else ""

    def run(self, tool: Path, arguments: Sequence[str], text: str) -> str:
        """Its standard output for `text` as standard input; DeviceError where it fails."""
        environment = dict(os.environ)
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = ":".join(map(str, self.libraries))
        try:
            done = subprocess.run(
                [str(tool), *arguments],
                input=text,
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=SILENCE_S,
            )
        except OSError as error:
            raise MissingToolError(
                f"cannot run {tool}: {error.strerror}; type atpn-bench setup-arm"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"{tool.name} was silent for {SILENCE_S} s") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise DeviceError(f"{tool.name} ended with status {done.returncode}: {last}")
        return done.stdout


@dataclass(frozen=True)
class Cycles:
    """What the blocks of one region take on a core by its scheduling model."""

    core: str
    cycles: float
    instructions: int
    covered: float  # share of the instructions that were simulated, 0..1


class BlockCycles:
    """Cycles an execution of each block, kept in a file by what the block consists of."""

    def __init__(self, llvm: Llvm, file: Path) -> None:
        self._llvm = llvm
        self._file = file
        self._version = ""

    def of(self, blocks: Iterable[Block], core: str) -> Cycles:
        """The sum over the blocks of one region."""
        ordered = sorted(blocks, key=lambda block: -block.instructions)
        total = sum(block.instructions for block in ordered)
        hot, covered = [], 0
        for block in ordered:
            if covered >= COVERAGE * total:
                break
            hot.append(block)
            covered += block.instructions
        each = self._each({block.code: block.words for block in hot}, MODELS[core])
        cycles = sum(block.count * each[block.code] for block in hot)
        scale = total / covered if covered else 0.0
        return Cycles(core, cycles * scale, total, covered / total if total else 1.0)

    def _each(self, wanted: Mapping[str, tuple[int, ...]], model: str) -> dict[str, float]:
        """Cycles by code: those in the file, and the others simulated now."""
        self._version = self._version or self._llvm.version()
        keys = {code: self._key(code, model) for code in wanted}
        with closing(sqlite3.connect(self._file, timeout=60)) as file:
            file.execute("create table if not exists cycles (key text primary key, cycles real)")
            known: dict[str, float] = {}
            for code, key in keys.items():
                row = file.execute("select cycles from cycles where key = ?", (key,)).fetchone()
                if row is not None:
                    known[code] = row[0]
            missing = [code for code in wanted if code not in known]
            for first in range(0, len(missing), BATCH):
                batch = missing[first : first + BATCH]
                found = simulate(self._llvm, [wanted[code] for code in batch], model)
                known.update(zip(batch, found, strict=True))
                rows = [(keys[code], known[code]) for code in batch]
                with file:
                    file.executemany("insert or replace into cycles values (?, ?)", rows)
        return known

    def _key(self, code: str, model: str) -> str:
        parts = (self._version, model, FEATURES, str(ITERATIONS), code)
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


def simulate(llvm: Llvm, blocks: Sequence[tuple[int, ...]], model: str) -> list[float]:
    """Cycles an execution of each block, in a row with itself."""
    texts = disassemble(llvm, {word for words in blocks for word in words})
    answer = llvm.run(
        llvm.mca,
        [
            "-mtriple=aarch64",
            f"-mcpu={model}",
            f"-mattr={FEATURES}",
            f"-iterations={ITERATIONS}",
            "-json",
            "-instruction-info=0",
            "-resource-pressure=0",
            "-skip-unsupported-instructions=lack-sched",
        ],
        assembly(blocks, texts),
    )
    return cycles_in(answer, len(blocks))


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


def cycles_in(answer: str, count: int) -> list[float]:
    """Cycles an iteration of the regions 0 to count - 1 in the JSON of llvm-mca."""
    try:
        regions = json.loads(answer[answer.index("{") :])["CodeRegions"]
        found = {
            int(region["Name"]): region["SummaryView"]["TotalCycles"]
            / region["SummaryView"]["Iterations"]
            for region in regions
        }
        return [found[number] for number in range(count)]
    except (ValueError, KeyError, TypeError) as error:
        raise DeviceError(
            f"llvm-mca told of no cycles for some of {count} blocks: {answer[:80]!r}"
        ) from error


def disassemble(llvm: Llvm, words: Iterable[int]) -> dict[int, str]:
    """Assembly of each word that is an instruction; a word that is none is left out."""
    ordered = sorted(set(words))
    text = "\n".join(
        " ".join(f"{byte:#04x}" for byte in word.to_bytes(4, "little")) for word in ordered
    )
    answer = llvm.run(
        llvm.mc, ["--disassemble", "--show-encoding", "-triple=aarch64", "-mattr=+all"], text
    )
    found = {}
    for line in answer.splitlines():
        text, _, encoding = line.partition("// encoding: [")
        if encoding:
            found_bytes = bytes(int(byte, 16) for byte in encoding.rstrip("] ").split(","))
            found[int.from_bytes(found_bytes, "little")] = text.strip()
    return found
