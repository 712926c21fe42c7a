"""One run on an emulated core: the same guest as on a board, counted instead of timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from atpn_benchmarks.arm.counts import MOST_SPREAD, InstructionCounts
from atpn_benchmarks.arm.operator_counts import READERS, alone, operator_counts
from atpn_benchmarks.arm.region_file import Region, read_region
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.bench_run import (
    UNKNOWN,
    GraphFacts,
    as_opened,
    machine_of,
    read_graphs,
    run_id,
)
from atpn_benchmarks.candidates import Candidate, distinct
from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_benchmarks.devices.qemu_device import REGIONS
from atpn_benchmarks.guest.job import Job
from atpn_benchmarks.heard import Event, Heard, hear_out
from atpn_benchmarks.packing import packed
from atpn_benchmarks.progress import Listener
from atpn_benchmarks.results import SCHEMA, Row, Run, Settings, State
from atpn_deploy import __version__
from atpn_deploy.errors import AtpnError

#: Inferences before the regions: the second still fills what a runtime keeps between calls, and
#: Python goes on specialising the calls around it, some thousand instructions, until the ninth.
WARMUP = 10


@dataclass(frozen=True)
class Counted:
    """A run, and of every row that was counted the region that its counts are of."""

    run: Run
    regions: Mapping[str, Region]


def count_on(
    device: Device, plan: BenchPlan, listener: Listener, *, operators: bool = False
) -> Counted:
    """Count one inference of everything on an open device, one thread.

    With `operators` each of its operators, too, by the profiler of the file's runtime.
    What the files compute is not looked at; `atpn-parity --device` does that. Raises DeviceError
    where nothing came at all.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    candidates = distinct(plan.candidates)
    heard = Heard(on_event=listener.take)
    with tempfile.TemporaryDirectory(prefix="atpn-bench-") as scratch:
        shown = replace(plan, threads=(1,), cores=(), warmup=WARMUP, peaks=False)
        job, files = packed([replace(c, golden=None) for c in candidates], shown, Path(scratch))
        if operators:
            job, files = _with_operators(job, files, candidates, Path(scratch))
        listener.begin(device.name, len(job.entries))
        lost = hear_out(device, files, "count", heard)
        regions, by_operator = {}, {}
        for name, event in heard.regions.items() if not lost else ():
            regions[name] = [_pulled(device, event, tag, Path(scratch)) for tag in event["tags"]]
        for name, event in heard.operators.items() if not lost else ():
            by_operator[name] = _pulled(device, event, event["tag"], Path(scratch))
    if not heard.begin:
        raise DeviceError(lost or f"{device.name}: the guest said nothing")
    graphs, uncounted = read_graphs(candidates)
    rows = [_row(candidate, heard, regions, graphs, device, lost) for candidate in candidates]
    rows, untold = _told_operators(rows, candidates, heard, by_operator)
    machine = replace(machine_of(heard.begin["machine"]), memory_bytes=0)  # this machine's
    run = Run(
        schema=SCHEMA,
        id=run_id(started_at),
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 1),
        device=device.name,
        version=__version__,
        machine=machine,
        settings=Settings((1,), (), WARMUP, 2, 0.0, 0),
        before=UNKNOWN,
        after=UNKNOWN,
        competing_load=None,
        timer_overhead_s=0.0,
        rows=tuple(rows),
        problems=(*uncounted, *untold, *filter(None, (lost,))),
    )
    return Counted(run, {name: found[-1] for name, found in regions.items()})


def _with_operators(
    job: Job, files: Mapping[str, Path], candidates: Sequence[Candidate], scratch: Path
) -> tuple[Job, dict[str, Path]]:
    """The job with a file for the profiler beside each whose runtime has one."""
    paths = {candidate.row.name: candidate for candidate in candidates}
    entries, added = [], {}
    for number, entry in enumerate(job.entries):
        candidate = paths[entry.name]
        if candidate.path is not None and candidate.path.suffix in READERS:
            there = f"operators-{number}{candidate.path.suffix}"
            (scratch / there).write_bytes(alone(candidate.path, candidate.row.signature or None))
            entry, added[there] = replace(entry, alone=there), scratch / there
        entries.append(entry)
    job = replace(job, entries=tuple(entries))
    job.save(files["job.json"])
    return job, {**files, **added}


def _told_operators(
    rows: Sequence[Row],
    candidates: Sequence[Candidate],
    heard: Heard,
    regions: Mapping[str, Region],
) -> tuple[list[Row], list[str]]:
    """The rows with their operators, and why some can't be told apart."""
    found, problems = [], []
    for row, candidate in zip(rows, candidates, strict=True):
        region, counts = regions.get(row.name), row.instructions
        if region is not None and counts is not None and candidate.path is not None:
            events = heard.operators[row.name]["events"]
            signature = row.signature or None
            try:
                told = operator_counts(candidate.path, signature, events, region.readings)
                row = replace(row, instructions=replace(counts, operators=told))
            except AtpnError as error:
                problems.append(f"operators of {row.name}: {error}")
        found.append(row)
    return found, problems


def _pulled(device: Device, event: Event, tag: int, scratch: Path) -> Region:
    """One region's file, brought here and read."""
    path = scratch / "region"
    device.pull(f"{REGIONS}.{event['process']}.{tag}", path)
    return read_region(path.read_text())


def _row(
    candidate: Candidate,
    heard: Heard,
    regions: Mapping[str, list[Region]],
    graphs: Mapping[str, GraphFacts],
    device: Device,
    lost: str,
) -> Row:
    """What became of one candidate."""
    row = candidate.row
    if not candidate.runs:
        return row
    row = as_opened(row, heard, graphs)
    if found := regions.get(row.name):
        row = replace(row, instructions=_counts(found, device))
    state, reason = _verdict(row, heard, lost)
    return replace(row, state=state, reason=reason)


def _counts(regions: list[Region], device: Device) -> InstructionCounts:
    """Of the last region, which the others are held against."""
    last = regions[-1]
    spread = max(abs(each.instructions - last.instructions) for each in regions)
    core = device.name.partition(":")[2].partition("+")[0]
    return InstructionCounts(
        core=core,
        instructions=last.instructions,
        by_class=last.by_class,
        spread=spread / last.instructions if last.instructions else 1.0,
        caches=last.caches,
    )


def _verdict(row: Row, heard: Heard, lost: str) -> tuple[State, str]:
    """The state of a row and, unless all is well, why."""
    if row.name in heard.failed:
        return heard.failed[row.name]["state"], heard.failed[row.name]["reason"]
    if row.instructions is None:
        return "failed", lost or "the guest told no region of it"
    broken = [*broken_rules(row, row.instructions)]
    return ("invalid", "; ".join(broken)) if broken else ("counted", "")


def broken_rules(row: Row, counts: InstructionCounts) -> list[str]:
    """Why counts can't stand for what a phone executes, each in a sentence."""
    broken = []
    if not counts.spread <= MOST_SPREAD:
        broken.append(
            f"two inferences differ by {counts.spread:.2%} of their instructions (at most "
            f"{MOST_SPREAD:.1%})"
        )
    if row.kernel_family.endswith("-builtin") and (
        row.delegation is None or row.delegation.partitions
    ):
        broken.append(f"{row.runtime} ran it without XNNPACK ({row.kernel_family})")
    return broken
