"""The share of the measuring cores that others took."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atpn_benchmarks.guest.core_clock import CoreClock, core_clock

TICKS = os.sysconf("SC_CLK_TCK")


def reading(tmp_path: Path, *lines: str, cores: tuple[int, ...] = (1,)) -> CoreClock:
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc/stat").write_text("\n".join(("cpu 9 9 9 9 9 9 9 9 0 0", *lines)) + "\n")
    return core_clock(cores, tmp_path)


def test_only_the_measuring_cores_count(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        "cpu0 5000 0 0 0 0 0 0 0 0 0",
        f"cpu1 {TICKS} {TICKS} {TICKS} 700 700 {TICKS} {TICKS} {2 * TICKS} 0 0",
        "cpu10 5000 0 0 0 0 0 0 0 0 0",
    )
    assert (found.cores, found.busy_s, found.steal_s) == (1, 5.0, 2.0)


def test_a_kernel_without_steal_is_read(tmp_path: Path) -> None:
    assert reading(tmp_path, f"cpu1 {TICKS} 0 0 0 0 0 0").busy_s == 1.0


def test_what_was_measured_is_no_load() -> None:
    before = CoreClock(at_s=100, cores=2, busy_s=50, steal_s=1)
    after = CoreClock(at_s=110, cores=2, busy_s=62, steal_s=2)
    assert after.load_since(before, own_s=9) == pytest.approx((12 - 9 + 1) / 20)


def test_it_is_never_below_zero_nor_above_one() -> None:
    before = CoreClock(at_s=0, cores=1, busy_s=0, steal_s=0)
    after = CoreClock(at_s=10, cores=1, busy_s=9, steal_s=0)
    assert after.load_since(before, own_s=9.05) == 0.0
    assert CoreClock(10, 1, 30, 0).load_since(before, own_s=0) == 1.0


def test_a_machine_that_tells_nothing_has_no_load(tmp_path: Path) -> None:
    nothing = core_clock([0], tmp_path)
    assert nothing.load_since(nothing, own_s=1) is None


def test_this_machine_has_one() -> None:
    before = core_clock(sorted(os.sched_getaffinity(0)))
    assert before.cores == len(os.sched_getaffinity(0))
