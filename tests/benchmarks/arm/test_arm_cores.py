"""What an emulated core shows of itself: the facts that runtimes choose their kernels by."""

from __future__ import annotations

from pathlib import Path

import pytest

from atpn_benchmarks.arm.cores import CORES, core_named, overlay_files, write_overlay
from atpn_benchmarks.guest import facts
from atpn_deploy.errors import ConfigError

#: Architecture 8.0 has no dot product.
DOT_PRODUCT = {"cortex-a53": False, "cortex-a55": True, "cortex-a72": False, "cortex-a76": True}


@pytest.fixture
def sysroot(tmp_path: Path) -> Path:
    root = tmp_path / "sysroot"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/python3").write_text("a program")
    (root / "lib").mkdir()
    return root


@pytest.mark.parametrize("core", CORES.values(), ids=str)
def test_a_program_sees_the_core_and_not_this_machine(core, sysroot: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "cores" / core.name
    write_overlay(core, sysroot, overlay)

    seen = facts.machine(overlay)

    assert seen["cpu"] == core.title
    assert seen["cores"] == 4
    assert ("asimddp" in seen["features"]) == DOT_PRODUCT[core.name]
    assert not {"avx", "avx2", "fma"} & set(seen["features"])
    assert seen["board"] == "emulated by QEMU"


def test_the_sysroot_is_seen_through_the_overlay_wherever_both_are_moved(
    sysroot: Path, tmp_path: Path
) -> None:
    write_overlay(CORES["cortex-a53"], sysroot, tmp_path / "cores" / "cortex-a53")
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))

    assert (moved / "cores/cortex-a53/usr/bin/python3").read_text() == "a program"


def test_litert_is_shown_the_cores_that_are_online() -> None:
    files = overlay_files(CORES["cortex-a76"])

    assert files["sys/devices/system/cpu/online"] == "0-3\n"
    assert files["sys/devices/system/cpu/cpu3/cpufreq/cpuinfo_max_freq"] == "2400000\n"


def test_an_unknown_core_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'cortex-x4'; choose one of cortex-a53, .*cortex-a76"):
        core_named("cortex-x4")
