"""Under which terms a run was measured: machine, conditions, settings, and how, in sentences."""

from __future__ import annotations

from datetime import UTC, datetime

from atpn_benchmarks.report.digits import (
    NONE,
    billions,
    microseconds,
    percent,
    significant,
)
from atpn_benchmarks.results import Conditions, Peaks, Run
from atpn_exporters.tables import plural

UNKNOWN = "not known"


def moment(text: str) -> str:
    """An ISO 8601 time as "2026-11-23 05:01 UTC"; what is none, as it came."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return text


def machine_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """What it ran on."""
    machine = run.machine
    memory = f"{significant(1e-9 * machine.memory_bytes)} GB" if machine.memory_bytes else UNKNOWN
    return (
        ("device", run.device),
        ("processor", f"{machine.cpu or UNKNOWN}, {machine.architecture or UNKNOWN}"),
        ("cores", str(machine.cores or UNKNOWN)),
        ("memory", memory),
        ("instruction sets", ", ".join(machine.features) or UNKNOWN),
        ("system", ", ".join(filter(None, (machine.system, machine.libc))) or UNKNOWN),
        ("Python", machine.python or "none"),
        ("atpn-deploy", run.version),
        ("run", run.id),
        ("started", moment(run.started_at)),
        ("took", f"{run.seconds:.0f} s"),
    )


def settings_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """What was asked for, and what came with it."""
    asked = run.settings
    load = UNKNOWN if run.competing_load is None else percent(run.competing_load)
    return (
        ("threads", ", ".join(map(str, asked.threads))),
        ("pinned to", f"core {', '.join(map(str, asked.cores))}" if asked.cores else "no core"),
        ("before the first sample", plural(asked.warmup, "call")),
        ("at least", f"{plural(asked.samples, 'sample')} and {asked.seconds:g} s of them a file"),
        ("order of the rounds", f"shuffled, seed {asked.seed}"),
        ("taking a sample adds", f"{microseconds(run.timer_overhead_s)} us"),
        ("others used meanwhile", load if load == UNKNOWN else f"{load} of the measuring cores"),
    )


def condition_facts(run: Run) -> tuple[tuple[str, str, str], ...]:
    """Name, before, after."""
    return tuple(
        (name, before, after)
        for (name, before), (_, after) in zip(
            _conditions(run.before), _conditions(run.after), strict=True
        )
    )


def _conditions(found: Conditions) -> tuple[tuple[str, str], ...]:
    frequency = UNKNOWN if not found.frequency_hz else f"{found.frequency_hz * 1e-9:.2f} GHz"
    warmth = UNKNOWN if found.temperature_c is None else f"{found.temperature_c:.0f} °C"
    return (
        ("governor", found.governor or UNKNOWN),
        ("frequency", frequency),
        ("temperature", warmth),
    )


def peak_facts(peaks: Peaks) -> tuple[tuple[str, str, str], ...]:
    """Name, what one core reaches, by what it was measured."""
    known = (
        ("fp32_macs_per_s", "float32", peaks.fp32_macs_per_s, "GMAC/s"),
        ("int8_macs_per_s", "int8", peaks.int8_macs_per_s, "GMAC/s"),
        ("cache_bytes_per_s", "second-level cache", peaks.cache_bytes_per_s, "GB/s"),
        ("memory_bytes_per_s", "memory", peaks.memory_bytes_per_s, "GB/s"),
    )
    return tuple(
        (name, f"{billions(value)} {unit}" if value else NONE, peaks.how.get(field, ""))
        for field, name, value, unit in known
    )


def method() -> tuple[str, ...]:
    """How every run measures, a paragraph each."""
    return (
        "Each file runs in a process of its own, so that load time, first inference and peak "
        "memory are its own. All files take turns in shuffled rounds of short bursts: what "
        "slows the machine for a while hits them alike, and ratios hold where milliseconds "
        "do not.",
        "Every sample is kept. A call that lost the processor to others is seen by its processor "
        "time and left out of the percentiles. Intervals are 95 % of a bootstrap over rounds.",
        "A number is called invalid, with the reason, if there are too few samples or seconds of "
        "them, if the interval is too wide, if too many calls were preempted, or if the end was "
        "slower than the beginning. Invalid numbers enter no ratio, no front and no advice.",
        "A file that misses a parity limit on the device is not timed.",
    )
