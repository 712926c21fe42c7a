"""atpn-bench on emulated cores: counts, estimates, the gate and its baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atpn_benchmarks.arm import counting_command
from atpn_benchmarks.arm.baseline import read_baseline
from atpn_benchmarks.arm.boards import board_named
from atpn_benchmarks.arm.counting_command import (
    CountOutcome,
    CountRequest,
    counts_markdown,
    counts_table,
    perform_counting,
)
from atpn_benchmarks.arm.counting_run import Counted
from atpn_benchmarks.arm.counts import InstructionCounts
from atpn_benchmarks.arm.estimate import Estimate
from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import SCHEMA, Conditions, Machine, Row, Run, Settings
from atpn_deploy.cli.bench import app
from atpn_deploy.cli.emulating import is_emulated
from atpn_deploy.closing import Closing
from atpn_deploy.errors import ConfigError

PLAN = BenchPlan(())
ESTIMATE = Estimate(board_named("rpi5"), 4.0, 3.0, 5.0, 1.1, "estimated")


class Core(Closing):
    """A device that is only a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def run_of(device: str, **instructions: int) -> Run:
    unknown = Conditions("", None, None)
    core = device.removeprefix("qemu:")
    rows = tuple(
        Row(name, name, "", name, "", False, "counted", instructions=counts)
        for name, count in instructions.items()
        for counts in [InstructionCounts(core, count, {"other": count}, 0.0)]
    )
    return Run(
        schema=SCHEMA,
        id="x",
        started_at="",
        seconds=0.0,
        device=device,
        version="",
        machine=Machine("", "aarch64", 4, 0, (), "", "", ""),
        settings=Settings((1,), (), 2, 2, 0.0, 0),
        before=unknown,
        after=unknown,
        competing_load=None,
        timer_overhead_s=0.0,
        rows=rows,
    )


Perform = Callable[..., CountOutcome]


@pytest.fixture
def perform(monkeypatch: pytest.MonkeyPatch) -> Perform:
    """`perform(request, run, ...)` with these runs as what cores count; None fails."""

    def start(request: CountRequest, *runs: Run | None) -> CountOutcome:
        found = iter(runs)

        def count(*_: object, operators: bool) -> Counted:
            run = next(found)
            if run is None:
                raise DeviceError("qemu:cortex-a53: signal 11")
            return Counted(run, {})

        monkeypatch.setattr(counting_command, "count_on", count)
        monkeypatch.setattr(counting_command, "estimates", lambda *_: {"a": (ESTIMATE,)})
        names = [f"qemu:{n}" if run is None else run.device for n, run in enumerate(runs)]
        cores = [Core(name) for name in names]
        return perform_counting(cores, PLAN, request, lambda _: Silent())  # type: ignore[arg-type]

    return start


def test_counts_alone_need_no_baseline(perform: Perform, tmp_path: Path) -> None:
    outcome = perform(
        CountRequest(baseline=tmp_path / "absent.json"), run_of("qemu:cortex-a76", a=1)
    )

    assert (outcome.exit_status, outcome.complaints) == (0, ())
    assert outcome.estimates == {}


def test_estimates_of_all_cores_are_kept_together(perform: Perform) -> None:
    runs = [run_of("qemu:cortex-a76", a=1), run_of("qemu:cortex-a53", a=1)]

    assert perform(CountRequest(estimate=True), *runs).estimates == {"a": (ESTIMATE, ESTIMATE)}


def test_what_is_agreed_to_passes_and_more_does_not(perform: Perform, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    run = run_of("qemu:cortex-a76", a=1000, b=1000)
    assert perform(CountRequest(baseline=path, write=True), run).exit_status == 0
    assert set(read_baseline(path).of("cortex-a76")) == {"a", "b"}
    gate = CountRequest(baseline=path, limit=0.01)

    assert perform(gate, run).exit_status == 0
    grown = perform(gate, run_of("qemu:cortex-a76", a=1000, b=1020))
    assert grown.exit_status == 1
    assert any("b: +2.00 %" in line for line in grown.complaints)
    fewer = run_of("qemu:cortex-a76", a=1000)
    assert perform(gate, fewer).exit_status == 3
    assert perform(replace(gate, complete=False), fewer).exit_status == 0


def test_a_baseline_that_is_missing_is_an_error(perform: Perform, tmp_path: Path) -> None:
    outcome = perform(
        CountRequest(baseline=tmp_path / "absent.json", limit=0.01), run_of("qemu:cortex-a76", a=1)
    )

    assert outcome.exit_status == 2
    assert "--write-instructions" in outcome.complaints[0]


def test_one_core_that_fails_leaves_the_other(perform: Perform) -> None:
    outcome = perform(CountRequest(), None, run_of("qemu:cortex-a76", a=1))

    assert [run.device for run in outcome.runs] == ["qemu:cortex-a76"]
    assert outcome.errors == ("qemu:cortex-a53: signal 11",)
    assert outcome.exit_status == 2


def test_a_file_that_failed_or_is_invalid_is_named(perform: Perform) -> None:
    run = run_of("qemu:cortex-a76", a=1, b=1)
    failed = replace(run.rows[0], state="failed", reason="signal 11", instructions=None)
    invalid = replace(run.rows[1], state="invalid", reason="without XNNPACK")

    outcome = perform(CountRequest(), replace(run, rows=(failed, invalid)))

    assert outcome.exit_status == 2
    assert outcome.complaints == (
        "a on qemu:cortex-a76: failed: signal 11",
        "b on qemu:cortex-a76: invalid: without XNNPACK",
    )
    assert counts_table(outcome.runs).row_count == 1
    assert counts_markdown(outcome.runs).splitlines()[2] == "| `b` | 0.00 (invalid) |"


def test_agreeing_and_judging_at_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="give one of both"):
        CountRequest(limit=0.01, write=True)


def test_counting_and_timing_do_not_mix() -> None:
    assert is_emulated(["qemu:cortex-a76", "qemu:cortex-a53"])
    assert not is_emulated(["local"])
    with pytest.raises(ConfigError, match="one by one"):
        is_emulated(["local", "qemu:cortex-a76"])


@pytest.mark.parametrize(
    "option", [["--estimate"], ["--write-instructions"], ["--fail-if-more-instructions", "1%"]]
)
def test_only_an_emulated_core_counts(option: list[str]) -> None:
    done = CliRunner().invoke(app, ["--device", "local", *option])

    assert isinstance(done.exception, ConfigError)
    assert "--device qemu:cortex-a76" in str(done.exception)


@pytest.mark.parametrize("limit", ["1", "0%", "x%"])
def test_a_limit_is_a_percentage(limit: str) -> None:
    words = ["--device", "qemu:cortex-a76", "--fail-if-more-instructions", limit]
    done = CliRunner().invoke(app, words)

    assert isinstance(done.exception, ConfigError)
    assert "--fail-if-more-instructions takes a percentage" in str(done.exception)
