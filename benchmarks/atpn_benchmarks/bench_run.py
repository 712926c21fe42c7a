"""One run on one device: files go there with the guest, what it tells becomes the result."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate, distinct
from atpn_benchmarks.counting.files import cost_of
from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_benchmarks.heard import Event, Heard, hear_out
from atpn_benchmarks.latency import Rules, summarise
from atpn_benchmarks.operators.delegation import delegation_of
from atpn_benchmarks.packing import packed
from atpn_benchmarks.progress import Listener
from atpn_benchmarks.results import (
    SCHEMA,
    Conditions,
    Cost,
    Delegation,
    Drift,
    Machine,
    Peaks,
    Row,
    Run,
    Settings,
    State,
    Timing,
)
from atpn_benchmarks.roofline import exceeded, fraction
from atpn_deploy import __version__
from atpn_deploy.errors import AtpnError

UNKNOWN = Conditions("", None, None)
#: Share of the measuring cores that others may use meanwhile.
MOST_LOAD = 0.25


@dataclass(frozen=True)
class GraphFacts:
    """What a file's own graph says of it."""

    delegation: Delegation | None = None
    cost: Cost | None = None


def run_on(device: Device, plan: BenchPlan, listener: Listener) -> Run:
    """Time everything on an open device.

    A connection that is lost in the middle leaves a result whose rows are partial, with the loss
    among its problems. Raises DeviceError where nothing came at all.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    candidates = distinct(plan.candidates)
    heard = Heard(on_event=listener.take)
    with tempfile.TemporaryDirectory(prefix="atpn-bench-") as scratch:
        job, files = packed(candidates, plan, Path(scratch))
        listener.begin(device.name, len(job.entries))
        lost = hear_out(device, files, "conduct", heard)
    if not heard.begin:
        raise DeviceError(lost or f"{device.name}: the guest said nothing")
    peaks = _peaks(heard)
    graphs, uncounted = read_graphs(candidates)
    rows = [
        _beside_roof(_row(candidate, heard, plan, graphs, lost), peaks) for candidate in candidates
    ]
    beyond = [exceeded(row.name, row.fraction) for row in rows if row.fraction is not None]
    return Run(
        schema=SCHEMA,
        id=run_id(started_at),
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 1),
        device=device.name,
        version=__version__,
        machine=machine_of(heard.begin["machine"]),
        settings=_settings(plan, heard),
        before=Conditions(**heard.begin["conditions"]),
        after=Conditions(**heard.end["conditions"]) if heard.end else UNKNOWN,
        competing_load=heard.end.get("competing_load"),
        timer_overhead_s=heard.begin["timer_overhead_s"],
        rows=tuple(rows),
        peaks=peaks,
        problems=(*device.remarks, *heard.problems, *uncounted, *filter(None, (*beyond, lost))),
    )


def _row(
    candidate: Candidate,
    heard: Heard,
    plan: BenchPlan,
    graphs: Mapping[str, GraphFacts],
    lost: str,
) -> Row:
    """What became of one candidate."""
    row = candidate.row
    if not candidate.runs:
        return row
    row = as_opened(row, heard, graphs)
    drift = heard.drift.get(row.name)
    if drift is not None:
        row = replace(row, drift=tuple(drift_of(values) for values in drift["rows"]))
    timings = tuple(
        timing
        for threads in plan.threads
        if (timing := _timing(row.name, threads, heard, plan.rules)) is not None
    )
    state, reason = _verdict(row, heard, timings, plan, lost)
    return replace(row, state=state, reason=reason, timings=timings)


def as_opened(row: Row, heard: Heard, graphs: Mapping[str, GraphFacts]) -> Row:
    """The row with what its graph says and what runs it there."""
    graph = graphs.get(row.name, GraphFacts())
    row = replace(row, delegation=graph.delegation, cost=graph.cost)
    for (name, _), event in heard.opened.items():
        if name == row.name:
            return replace(row, runtime=event["runtime"], kernel_family=event["kernel_family"])
    return row


def _beside_roof(row: Row, peaks: Peaks | None) -> Row:
    """The row with its share of what the core's peaks allow, where both are known."""
    single = row.timing(1)
    if peaks is None or row.cost is None or single is None or single.summary is None:
        return row
    return replace(row, fraction=fraction(row.cost, peaks, single.summary.p50_s))


def _verdict(
    row: Row, heard: Heard, timings: Sequence[Timing], plan: BenchPlan, lost: str
) -> tuple[State, str]:
    """The state of a row and, unless all is well, why."""
    if row.name in heard.failed:
        return heard.failed[row.name]["state"], heard.failed[row.name]["reason"]
    complaint = heard.drift.get(row.name, {}).get("complaint")
    if complaint:
        return "not timed", complaint
    if lost:
        return ("partial" if timings else "failed"), lost
    if len(timings) < len(plan.threads):
        return "failed", "the guest told no sample of it"
    load = heard.end.get("competing_load")
    broken = [
        f"{rule}" if len(timings) == 1 else f"{timing.threads} threads: {rule}"
        for timing in timings
        for rule in (timing.summary.broken if timing.summary else ("no sample",))
    ]
    if load is not None and not load <= MOST_LOAD:
        broken.append(f"others used {load:.0%} of the measuring core (at most {MOST_LOAD:.0%})")
    return ("invalid", "; ".join(broken)) if broken else ("timed", "")


def _timing(name: str, threads: int, heard: Heard, rules: Rules) -> Timing | None:
    key = (name, threads)
    if key not in heard.samples:
        return None
    kept, opened = heard.samples[key], heard.opened[key]
    wall_s, cpu_s = np.array(kept.wall_ns) * 1e-9, np.array(kept.cpu_ns) * 1e-9
    return Timing(
        threads=threads,
        load_s=opened["load_s"],
        first_s=opened["first_s"],
        peak_memory_bytes=heard.memory.get(key, {}).get("peak_bytes", 0),
        idle_memory_bytes=opened["idle_bytes"],
        burst=kept.per_round,
        wall_s=tuple(wall_s.tolist()),
        cpu_s=tuple(cpu_s.tolist()),
        summary=summarise(wall_s, cpu_s, threads=threads, burst=kept.per_round, rules=rules),
    )


def drift_of(values: dict[str, Any]) -> Drift:
    """One row of a verification, as the guest told it."""
    return Drift(**{name: values[name] for name in Drift.__dataclass_fields__})


def read_graphs(candidates: Sequence[Candidate]) -> tuple[dict[str, GraphFacts], list[str]]:
    """What the files' own graphs say, by name, and why some can't be read here."""
    found, problems = {}, []
    for candidate in candidates:
        if candidate.runs and candidate.path is not None:
            try:
                cost = cost_of(candidate.path, candidate.row.signature or None)
                # Of peers, which have no target, nothing is told.
                delegation = delegation_of(candidate.path) if candidate.row.target else None
                found[candidate.row.name] = GraphFacts(delegation, cost)
            except AtpnError as error:
                problems.append(f"{candidate.row.name} is not counted: {error}")
    return found, problems


def run_id(started_at: datetime) -> str:
    """Unique: the time and a random part."""
    return f"{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _peaks(heard: Heard) -> Peaks | None:
    if heard.peaks is None:
        return None
    told: Event = {name: heard.peaks.get(name) for name in Peaks.__dataclass_fields__}
    return Peaks(**told)


def machine_of(values: Event) -> Machine:
    """The machine, as the guest told it."""
    return Machine(**{**values, "features": tuple(values["features"])})


def _settings(plan: BenchPlan, heard: Heard) -> Settings:
    return Settings(
        plan.threads,
        tuple(heard.begin["cores"]),
        plan.warmup,
        plan.rules.samples,
        plan.rules.seconds,
        plan.seed,
    )
