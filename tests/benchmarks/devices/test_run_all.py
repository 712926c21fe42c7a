"""Several devices at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_benchmarks.devices.local_device import LocalWire
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice
from atpn_benchmarks.devices.together import run_all


def shell(name: str) -> PosixDevice:
    return PosixDevice(name, LocalWire(), Habits(()))


class Unreachable(LocalWire):
    def open(self) -> None:
        raise DeviceError("b: it does not answer")


def test_each_has_its_result_or_its_error() -> None:
    devices = [shell("a"), PosixDevice("b", Unreachable()), shell("c")]
    found = run_all(devices, lambda device: device.ask(f"echo {device.name}"))
    assert found["a"] == "a"
    assert found["c"] == "c"
    assert str(found["b"]) == "b: it does not answer"


def test_they_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    run_all([shell("a"), shell("b")], lambda device: both.wait())


def test_one_given_twice_is_refused() -> None:
    with pytest.raises(DeviceError, match="a is given twice"):
        run_all([shell("a"), shell("a")], lambda device: None)


def test_none_is_nothing() -> None:
    assert run_all([], lambda device: None) == {}


def test_a_fault_of_ours_is_no_result() -> None:
    def job(device: Device) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all([shell("a")], job)


def test_ctrl_c_stops_and_cleans_all(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[str] = []
    started = threading.Barrier(3, timeout=20)

    def job(device: PosixDevice) -> None:
        folders.append(device.folder)
        device.command("sh -c 'echo here; sleep 100'", lambda line: started.wait())

    def interrupted(futures: object) -> None:
        started.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr("atpn_benchmarks.devices.together.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_all([shell("a"), shell("b")], job)
    assert len(folders) == 2
    assert not any(Path(folder).exists() for folder in folders)
