"""Timed loops as rich tables for people and plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_benchmarks.loop.command import LoopOutcome
from atpn_benchmarks.loop.timing import STAGES, LoopTimes, Spread


def loop_table(outcome: LoopOutcome) -> RenderableType:
    """A block of rows a file: its stages, then the whole frame."""
    width, height = outcome.clip.size
    title = f"{len(outcome.clip.frames)} frames of {outcome.clip.name}, {width}x{height}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("stage")
    for heading in ("CPU ms", "p95", "wall ms", "p95 ", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for times in outcome.times:
        for row in _rows(times):
            table.add_row(*row)
        table.add_section()
    return Group(table, *(Text(_line(times), style="dim") for times in outcome.times))


def loop_values(outcome: LoopOutcome) -> dict[str, Any]:
    """Plain values, every sample with them."""
    width, height = outcome.clip.size
    return {
        "machine": outcome.machine,
        "clip": {
            "name": outcome.clip.name,
            "width": width,
            "height": height,
            "frames": len(outcome.clip.frames),
        },
        "files": [
            {
                **asdict(times),
                "runtime": outcome.runtimes[times.name],
                "around_network": times.around_network,
            }
            for times in outcome.times
        ],
        "complaints": list(outcome.complaints),
    }


def _rows(times: LoopTimes) -> list[list[str]]:
    whole = sum(spread.median_s for spread in times.stages_cpu.values())
    rows = []
    for stage in STAGES:
        cpu, wall = times.stages_cpu[stage], times.stages_wall[stage]
        share = f"{cpu.median_s / whole:.0%}" if whole else ""
        rows.append(["", stage, *_cells(cpu), *_cells(wall), share])
    rows.append(["", "a frame", *_cells(times.loop_cpu), *_cells(times.loop_wall), ""])
    rows[0][0] = times.name
    return rows


def _cells(spread: Spread) -> list[str]:
    return [f"{1e3 * spread.median_s:.3f}", f"{1e3 * spread.p95_s:.3f}"]


def _line(times: LoopTimes) -> str:
    """What the table does not hold."""
    return (
        f"{times.name}: {times.around_network:.0%} of the processor's time is around the network; "
        f"{times.frames} frames counted, {times.preempted:.0%} of them preempted and left out; "
        f"the detector ran {times.detections} times, beside these frames"
    )
