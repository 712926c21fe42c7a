"""From a counted run to estimates, and to the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atpn_benchmarks.arm.baseline import (
    Baseline,
    read_baseline,
    taken,
    write_baseline,
)
from atpn_benchmarks.arm.counting_run import Counted
from atpn_benchmarks.arm.environment import Environment
from atpn_benchmarks.arm.estimate import Estimate, estimate
from atpn_benchmarks.arm.gate import Gate, judge
from atpn_benchmarks.arm.mca import BlockCycles
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.results import Run


def estimates(counted: Counted, environment: Environment) -> dict[str, tuple[Estimate, ...]]:
    """Milliseconds of every row that was counted, by its name; see `estimate`."""
    cycles = BlockCycles.of_environment(environment)
    found = {}
    for row in counted.run.rows:
        region = counted.regions.get(row.name)
        if region is not None and row.instructions is not None and row.state == "counted":
            summed = cycles.sum(region.blocks, row.instructions.core)
            found[row.name] = estimate(summed, row.runtime)
    return found


def judged(
    run: Run, candidates: Sequence[Candidate], baseline: Path, limit: float, *, complete: bool
) -> Gate:
    """Hold a counted run against a baseline; `complete` where it was of all exported files."""
    core = core_of(run)
    before = read_baseline(baseline).of(core)
    return judge(
        core, before, run.rows, taken(run.rows, paths(candidates)), limit, complete=complete
    )


def agree(run: Run, candidates: Sequence[Candidate], baseline: Path, emulator: str) -> None:
    """Put what a run counted into a baseline, which is made where there is none."""
    old = read_baseline(baseline) if baseline.exists() else Baseline({}, emulator)
    new = Baseline(old.cores, emulator).with_rows(core_of(run), taken(run.rows, paths(candidates)))
    write_baseline(new, baseline)


def core_of(run: Run) -> str:
    """The emulated core of a run on qemu:CORE or qemu:CORE+caches."""
    return run.device.partition(":")[2].partition("+")[0]


def paths(candidates: Sequence[Candidate]) -> dict[str, Path]:
    """The file of each row that has one."""
    return {c.row.name: c.path for c in candidates if c.path is not None}
