"""The part of atpn-bench that counts on emulated cores instead of timing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from atpn_deploy.cli.shell import write_or_print
from atpn_deploy.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from atpn_benchmarks.arm.counting_command import CountRequest
    from atpn_benchmarks.bench_command import BenchRequest
    from atpn_benchmarks.delivery import Places

#: What such devices are called: qemu:cortex-a76.
SCHEME = "qemu:"


def is_emulated(devices: Sequence[str]) -> bool:
    """Whether all of them are emulated cores; ConfigError if only some are."""
    emulated = [text for text in devices if text.startswith(SCHEME)]
    if emulated and len(emulated) < len(devices):
        raise ConfigError(
            f"{emulated[0]} counts instructions and other devices time: run them one by one"
        )
    return bool(emulated)


def count_emulated(
    bench: BenchRequest, request: CountRequest, places: Places, console: Console
) -> int:
    """Count, print and deliver; the exit status."""
    from atpn_benchmarks.arm.counting_command import (
        counts_markdown,
        counts_table,
        perform_counting,
    )
    from atpn_benchmarks.arm.estimate import estimates_markdown, estimates_table
    from atpn_benchmarks.bench_command import plan_of
    from atpn_benchmarks.delivery import deliver
    from atpn_benchmarks.devices.naming import named
    from atpn_benchmarks.progress import Bar

    plan = plan_of(bench)
    devices = [named(text) for text in dict.fromkeys(bench.devices)]
    with Bar(console) as bar:
        outcome = perform_counting(devices, plan, request, bar.listener)
    if outcome.runs:
        console.print(counts_table(outcome.runs))
    if outcome.estimates:
        console.print(estimates_table(outcome.estimates))
        notes = {one.note for found in outcome.estimates.values() for one in found}
        for note in sorted(notes):
            console.print(f"  {note}", style="dim", highlight=False, soft_wrap=True)
    unwritten = deliver(outcome.runs, replace(places, markdown=None), console)
    if places.markdown is not None:
        parts = [counts_markdown(outcome.runs)]
        parts += [estimates_markdown(outcome.estimates)] if outcome.estimates else []
        write_or_print(places.markdown, "\n".join(parts))
    for gate in outcome.gates:
        passed = len(gate.others)
        console.print(
            f"{gate.core}: {passed} of {passed + len(gate.grew)} files within {gate.limit:.1%}",
            highlight=False,
        )
    for complaint in (*outcome.complaints, *unwritten):
        print(f"error: {complaint}", file=sys.stderr)
    return 2 if unwritten else outcome.exit_status
