"""What atpn-bench does on emulated cores: count, estimate, judge, agree to what was counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from atpn_benchmarks.arm.counting_run import Counted, count_on
from atpn_benchmarks.arm.environment import Environment, default_folder
from atpn_benchmarks.arm.estimate import Estimate
from atpn_benchmarks.arm.estimating import agree, core_of, estimates, judged
from atpn_benchmarks.arm.gate import Gate
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.devices.device import Device
from atpn_benchmarks.progress import Listener
from atpn_benchmarks.results import Run
from atpn_deploy.errors import AtpnError, ConfigError

#: The baseline of this repository's own files.
BASELINE = Path("benchmarks/instructions.json")


@dataclass(frozen=True)
class CountRequest:
    """What is wanted beside the counts."""

    estimate: bool = False
    operators: bool = False
    limit: float | None = None  # of growth, as a share: 0.01
    baseline: Path = BASELINE
    write: bool = False  # put the counts into the baseline
    complete: bool = True  # the run is of all exported files

    def __post_init__(self) -> None:
        if self.write and self.limit is not None:
            raise ConfigError(
                "--write-instructions agrees to what --fail-if-more-instructions would judge: "
                "give one of both"
            )


@dataclass(frozen=True)
class CountOutcome:
    """What emulated cores found."""

    runs: tuple[Run, ...] = ()
    estimates: Mapping[str, tuple[Estimate, ...]] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    errors: tuple[str, ...] = ()  # of devices and baselines, each in a line

    @property
    def complaints(self) -> tuple[str, ...]:
        """Everything that a list at the end should name."""
        rows = [(run, row) for run in self.runs for row in run.rows]
        return (
            *self.errors,
            *(problem for run in self.runs for problem in run.problems),
            *(
                f"{row.name} on {run.device}: {row.state}: {row.reason}"
                for run, row in rows
                if row.state in ("failed", "invalid")
            ),
            *(line for gate in self.gates for line in gate.lines),
        )

    @property
    def exit_status(self) -> int:
        """2 where a file or a core failed, else the gate's: 1 a file grew, 3 it can't be told."""
        if self.errors or any(row.state == "failed" for run in self.runs for row in run.rows):
            return 2
        statuses = {gate.exit_status for gate in self.gates}
        return 1 if 1 in statuses else max(statuses, default=0)


def perform_counting(
    devices: Sequence[Device],
    plan: BenchPlan,
    request: CountRequest,
    listener: Callable[[str], Listener],
) -> CountOutcome:
    """Count on one core after the other; what fails on one leaves the others as they are."""
    environment = Environment(default_folder())
    runs: list[Run] = []
    errors: list[str] = []
    gates: list[Gate] = []
    estimated: dict[str, tuple[Estimate, ...]] = {}
    for device in devices:
        try:
            with device:
                counted = count_on(device, plan, listener(device.name), operators=request.operators)
            runs.append(counted.run)
            if request.estimate:
                for name, found in estimates(counted, environment).items():
                    estimated[name] = (*estimated.get(name, ()), *found)
            gates += _settle(counted, plan, request, environment)
        except AtpnError as error:
            errors.append(str(error))
    return CountOutcome(tuple(runs), estimated, tuple(gates), tuple(errors))


def _settle(
    counted: Counted, plan: BenchPlan, request: CountRequest, environment: Environment
) -> list[Gate]:
    """Judge the counts, or put them into the baseline, as asked."""
    if request.write:
        emulator = f"QEMU {environment.versions.get('qemu-user', '')}".strip()
        agree(counted.run, plan.candidates, request.baseline, emulator)
    if request.limit is None:
        return []
    return [
        judged(
            counted.run,
            plan.candidates,
            request.baseline,
            request.limit,
            complete=request.complete,
        )
    ]


def counts_table(runs: Sequence[Run]) -> Table:
    """A row a file, a column a core: million instructions of one inference, never a time."""
    table = Table(
        title="million instructions an inference, one thread",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("file", overflow="fold")
    for run in runs:
        table.add_column(core_of(run), justify="right")
    for name in _counted(runs):
        table.add_row(name, *(_millions(run, name) for run in runs))
    return table


def counts_markdown(runs: Sequence[Run]) -> str:
    """The same as a table of Markdown."""
    lines = [
        "| million instructions | " + " | ".join(core_of(run) for run in runs) + " |",
        "|---|" + "---:|" * len(runs),
    ]
    for name in _counted(runs):
        lines.append(f"| `{name}` | " + " | ".join(_millions(run, name) for run in runs) + " |")
    return "\n".join(lines) + "\n"


def _counted(runs: Sequence[Run]) -> list[str]:
    """Names of all files that any run counted."""
    return list(dict.fromkeys(row.name for run in runs for row in run.rows if row.instructions))


def _millions(run: Run, name: str) -> str:
    row = run.row(name)
    if row is None or row.instructions is None:
        return ""
    mark = "" if row.state == "counted" else f" ({row.state})"
    return f"{row.instructions.instructions / 1e6:.2f}{mark}"
