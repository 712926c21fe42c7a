"""The emulated core as a device: what it refuses, and that all of a guest runs under it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from atpn_benchmarks.arm.environment import FOLDER_VARIABLE, Environment
from atpn_benchmarks.devices import qemu_device
from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest_archive import write_guest
from atpn_deploy.errors import ArmError, ConfigError

#: Notes what it was asked and runs this machine's own Python.
FAKE_QEMU = """#!/bin/sh
echo "$@" >>{log}
while [ "$1" != -S ]; do shift; done
shift
exec {python} "$@"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an emulator that emulates nothing was asked, a line a process."""
    log = tmp_path / "log"
    qemu = tmp_path / "arm" / "emulator" / "qemu-aarch64"
    qemu.parent.mkdir(parents=True)
    qemu.write_text(FAKE_QEMU.format(log=log, python=sys.executable))
    qemu.chmod(0o755)
    environment = Environment(tmp_path / "arm")
    monkeypatch.setattr(qemu_device, "open_environment", lambda folder: environment)
    return log


def test_an_unknown_core_is_refused_before_anything_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))

    with pytest.raises(ConfigError, match="no emulated core is called 'cortex-x4'; choose one of"):
        named("qemu:cortex-x4")
    with pytest.raises(DeviceError, match=r"expected .*qemu:CORE"):
        named("qemu")


def test_without_an_environment_it_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))

    with pytest.raises(ArmError, match=r"make it: atpn-bench setup-arm"):
        named("qemu:cortex-a76")


def test_an_emulator_counts_and_does_not_time(log: Path) -> None:
    assert named("qemu:cortex-a76").measures == "instructions"
    assert named("local").measures == "time"


def test_guest_and_workers_run_under_the_emulator(log: Path, tmp_path: Path) -> None:
    write_guest(tmp_path / "guest.pyz")
    Job((Entry("a", "absent.tflite"),)).save(tmp_path / "job.json")
    told: list[str] = []

    with named("qemu:cortex-a55+caches") as device:
        device.push({name: tmp_path / name for name in ("guest.pyz", "job.json")})
        status = device.run(["guest.pyz", "count", "job.json"], told.append)

    started = log.read_text().splitlines()
    assert status == 0
    assert ["count" in line for line in started] == [False, True, False]
    assert "worker" in started[2]
    for line in started:  # its own questions, the guest, the worker of its one file
        assert "-cpu cortex-a76" in line  # QEMU 7.2 has no Cortex-A55
        assert f"-L {tmp_path}/arm/cores/cortex-a55 " in line
        assert "out=region,clock=on,cache=on,l1=32:4,l2=512:16" in line
    events = [json.loads(line)["event"] for line in told]
    assert events == ["begin", "opening", "failed", "end"]
