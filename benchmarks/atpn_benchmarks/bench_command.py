"""What atpn-bench does: files and peers in the same rounds, on one or several devices at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.bench_run import run_on
from atpn_benchmarks.candidates import Candidate, exported, ours, peers
from atpn_benchmarks.devices.cooling import cool_down
from atpn_benchmarks.devices.device import Device
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.devices.together import run_all
from atpn_benchmarks.latency import Rules
from atpn_benchmarks.operators.timing import KERNELS, time_operators
from atpn_benchmarks.progress import Bar
from atpn_benchmarks.results import Row, Run
from atpn_deploy.errors import AtpnError
from atpn_exporters.parity_run import ParityRequest
from atpn_exporters.tables import plural

#: A device that is still hot after so many seconds starts all the same, and shows in the result.
COOLING_S = 300.0

#: What --quick asks of a file: enough for a first look.
QUICK, QUICK_ROUNDS = Rules(samples=50, seconds=0.2, width=0.10), 60
USUAL, USUAL_ROUNDS = Rules(), 200


@dataclass(frozen=True)
class BenchRequest:
    """What is to be run, and where; see `atpn-bench --help`."""

    files: tuple[Path, ...]
    exported: Path
    peers: Path | None
    devices: tuple[str, ...]
    threads: tuple[int, ...]
    cores: tuple[int, ...]
    quick: bool
    samples: int | None
    seconds: float | None
    operators: bool
    peaks: bool
    parity: ParityRequest
    #: TensorFlow Lite's program for phones without Python.
    benchmark_model: Path | None = None
    #: Degrees Celsius that a device must be below before it starts; None does not look.
    cool_below_c: float | None = None


@dataclass(frozen=True)
class Outcome:
    """One run for every device that answered, and what went wrong with the others."""

    runs: tuple[Run, ...]
    errors: tuple[str, ...]  # of devices, each in a line that names it

    @property
    def complaints(self) -> tuple[str, ...]:
        """Everything that a list at the end should name."""
        rows = [(run, row) for run in self.runs for row in run.rows if row.state in COMPLAINTS]
        return (
            *self.errors,
            *(problem for run in self.runs for problem in run.problems),
            *(f"{row.name} on {run.device}: {row.state}: {row.reason}" for run, row in rows),
        )

    @property
    def exit_status(self) -> int:
        """2 if a file or a device failed, 1 if a file misses a parity limit, else 0."""
        states = {row.state for run in self.runs for row in run.rows}
        if self.errors or states & {"failed", "partial"}:
            return 2
        return int("not timed" in states)


#: States that a list at the end names; "invalid" stands in the tables with its reason.
COMPLAINTS = ("failed", "partial", "not timed")


def perform(request: BenchRequest, console: Console) -> Outcome:
    """Run on all devices at once; a device that fails leaves the others as they are.

    Raises AtpnError where there is nothing to run at all.
    """
    plan = plan_of(request)
    devices = [named(text, benchmark_model=request.benchmark_model) for text in request.devices]
    with Bar(console) as bar:

        def job(device: Device) -> Run:
            line = bar.listener(device.name)
            if request.cool_below_c is not None:
                cool_down(device, request.cool_below_c, COOLING_S, line.say)
            return run_on(device, plan, line)

        found = run_all(devices, job)
    runs = [each for each in found.values() if isinstance(each, Run)]
    errors = [str(each) for each in found.values() if not isinstance(each, Run)]
    told = [f"{device.name}: {device.left_behind}" for device in devices if device.left_behind]
    if request.operators:
        runs = [_with_operators(each, plan.candidates, console) for each in runs]
    return Outcome(tuple(runs), (*errors, *told))


def plan_of(request: BenchRequest) -> BenchPlan:
    """What a run is to do; AtpnError where there is nothing to run."""
    candidates = (
        ours(request.files, request.parity)
        if request.files
        else exported(request.exported, request.parity)
    )
    if request.peers is not None:
        candidates += peers(request.peers)
    rules = QUICK if request.quick else USUAL
    return BenchPlan(
        tuple(candidates),
        request.threads,
        request.cores,
        rounds=QUICK_ROUNDS if request.quick else USUAL_ROUNDS,
        rules=replace(
            rules,
            samples=request.samples or rules.samples,
            seconds=request.seconds or rules.seconds,
        ),
        runtime=request.parity.runtime,
        peaks=request.peaks,
    )


def _with_operators(run: Run, candidates: Sequence[Candidate], console: Console) -> Run:
    """The run with the time of every operator; measured here, so a local run's alone."""
    if run.device != "local":
        return run
    paths = {candidate.row.name: candidate.path for candidate in candidates}
    rows: list[Row] = []
    problems = []
    for row in run.rows:
        path = paths.get(row.name)
        if path is None or path.suffix not in KERNELS or not row.timings:
            rows.append(row)
            continue
        console.print(f"operators of {row.name}", highlight=False, soft_wrap=True)
        try:
            rows.append(replace(row, operators=time_operators(path, row.signature or None)))
        except AtpnError as error:
            told = str(error).replace(str(path), path.name)  # a result names no place of ours
            problems.append(f"operators of {row.name}: {told}")
            rows.append(row)
    return replace(run, rows=tuple(rows), problems=(*run.problems, *problems))


def verdict_line(outcome: Outcome) -> str:
    """How it ended, in a line."""
    rows = [row for run in outcome.runs for row in run.rows]
    told = []
    for state in ("timed", "invalid", "partial", "not timed", "failed", "not run"):
        if count := sum(row.state == state for row in rows):
            told.append(f"{count} {state}")
    seconds = sum(run.seconds for run in outcome.runs)
    return f"{plural(len(rows), 'row')}: {', '.join(told)}; {seconds:.0f} s"
