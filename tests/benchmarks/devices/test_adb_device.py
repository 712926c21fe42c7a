"""What goes wrong by adb: the real command and its server, and a stand-in for the phone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from atpn_benchmarks.devices import adb_device
from atpn_benchmarks.devices.device import DeviceError, DeviceLostError
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.devices.python_there import VARIABLE
from atpn_benchmarks.devices.transfer import FOLDER_VARIABLE

if TYPE_CHECKING:
    from conftest import Phones

needs_adb = pytest.mark.needs("adb")


def error_of(text: str) -> str:
    """The one line that opening the device ends with."""
    with pytest.raises(DeviceError) as caught, named(text):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_adb
def test_an_absent_phone_lists_the_others(phones: Phones) -> None:
    assert "adb devices lists none" in error_of("adb:emulator-5554")
    with phones.stand_in() as serial:
        said = error_of("adb:127.0.0.1:1")
    assert said.endswith(f"adb devices lists {serial} (device); type: adb connect 127.0.0.1:1")


@needs_adb
def test_a_phone_that_was_not_allowed_says_so(phones: Phones) -> None:
    with phones.stand_in("unauthorized") as serial:
        assert "unlock the phone and allow this computer" in error_of(f"adb:{serial}")


@needs_adb
def test_a_phone_that_is_offline_says_so(phones: Phones) -> None:
    with phones.stand_in() as serial:
        pass
    assert error_of(f"adb:{serial}").partition(": ")[2].startswith(("adb has it as offline", "it "))


@needs_adb
def test_a_phone_that_is_unplugged_keeps_what_was_told(phones: Phones, tmp_path: Path) -> None:
    (tmp_path / "guest.py").write_text(
        "import os, time\nprint(os.getppid(), flush=True)\n"
        "for number in range(10**6):\n"
        "    print(number, flush=True)\n    time.sleep(0.02)\n"
    )
    heard: list[str] = []

    with phones.stand_in() as serial:
        adbd = _listener(serial)

        def unplug(line: str) -> None:
            heard.append(line)
            if line == "3":
                os.kill(adbd, signal.SIGKILL)

        with named(f"adb:{serial}") as device:
            device.push({"guest.py": tmp_path / "guest.py"})
            with pytest.raises(DeviceLostError, match="went away: "):
                device.run(["guest.py"], unplug)
    assert heard[1:5] == ["0", "1", "2", "3"]


def _listener(serial: str) -> int:
    """The process that listens on the port of a serial."""
    port = f":{int(serial.rpartition(':')[2]):04X} "
    lines = Path("/proc/net/tcp").read_text().splitlines()
    inode = next(line.split()[9] for line in lines if port in line and " 0A " in line)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(serial)


@needs_adb
def test_a_phone_without_python_says_what_there_is(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/python3")
    assert "(--benchmark-model FILE), or install Termux" in error_of(stand_in)


@needs_adb
def test_a_phone_keeps_files_where_programs_may_start(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert "no folder can be made in /data/local/tmp" in error_of(stand_in)


def test_no_adb_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    assert "sudo apt install adb" in error_of("adb:emulator-5554")


def test_the_sdks_adb_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = tmp_path / "platform-tools"
    tools.mkdir()
    (tools / "adb").write_text("#!/bin/sh\necho unauthorized\n")
    (tools / "adb").chmod(0o755)
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    assert "unlock the phone" in error_of("adb:emulator-5554")


def test_an_adb_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = tmp_path / "platform-tools"
    tools.mkdir()
    (tools / "adb").write_text("#!/bin/sh\nexec sleep 20\n")
    (tools / "adb").chmod(0o755)
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    monkeypatch.setattr(adb_device, "_STATE_S", 0.2)
    assert error_of("adb:x").endswith(
        "adb get-state has not answered for 0 s: type: adb kill-server"
    )
