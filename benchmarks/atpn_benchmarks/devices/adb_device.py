"""A phone by adb: the command of Android's platform tools, shell protocol, /data/local/tmp."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from atpn_benchmarks.devices.device import DeviceError
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice

_NO_PYTHON = (
    "time its .tflite files with Android's own program (--benchmark-model FILE), or install "
    "Termux and use its sshd (docs/devices.md)"
)

_UNASKED = "it waits for its owner: unlock the phone and allow this computer"

#: What adb says of a device that can't be used, what it means, what to do.
_MEANINGS = (
    ("unauthorized", _UNASKED),
    ("authorizing", _UNASKED),
    ("offline", "adb has it as offline: plug it in anew, or type: adb reconnect offline"),
    ("no permissions", "this user may not open its USB port: install Android's udev rules"),
    ("not found", "it is not attached: adb devices lists {attached}{connect}"),
    ("no devices", "it is not attached: adb devices lists {attached}{connect}"),
    ("cannot connect to daemon", "adb's own server does not start: type: adb start-server"),
)

#: How long adb may take to say how a device is; it may have to start its server first.
_STATE_S = 30.0


class AdbWire:
    """One phone, by its serial."""

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self._adb = "adb"

    def open(self) -> None:
        """Find adb, and look how the phone is."""
        self._adb = _found_adb()
        state = self._tell("-s", self._serial, "get-state")
        if state.stdout.strip() != "device":
            raise DeviceError(f"adb:{self._serial}: {self.meaning(state.stdout + state.stderr)}")

    def _tell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._adb, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_STATE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeviceError(
                f"adb:{self._serial}: adb {arguments[-1]} has not answered for {_STATE_S:.0f} s: "
                "type: adb kill-server"
            ) from error

    def holding(self, script: str) -> list[str]:
        """The script in the phone's shell."""
        return self.running(script)

    def running(self, script: str) -> list[str]:
        """The script in the phone's shell, without a terminal: bytes pass as they are."""
        return [self._adb, "-s", self._serial, "shell", "-T", script]

    def meaning(self, errors: str) -> str:
        """What adb's errors mean; its own last line where none is known.

        A connection that breaks says nothing: then adb is asked how the phone is.
        """
        errors = errors or self._tell("-s", self._serial, "get-state").stderr
        for word, meaning in _MEANINGS:
            if word in errors:
                connect = f"; type: adb connect {self._serial}" if ":" in self._serial else ""
                attached = self._attached() if "{attached}" in meaning else ""
                return meaning.format(attached=attached, connect=connect)
        return errors.strip().rpartition("\n")[2]

    def _attached(self) -> str:
        """The phones that are there, as adb lists them."""
        listed = re.findall(r"^(\S+)\t(.+)$", self._tell("devices").stdout, re.MULTILINE)
        return ", ".join(f"{serial} ({state})" for serial, state in listed) or "none"

    def close(self) -> None:
        """Leave adb's server as it is: others may use it."""


def _found_adb() -> str:
    """The adb on the path, or that of an Android SDK."""
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        if root := os.environ.get(variable):
            if found := shutil.which(Path(root) / "platform-tools" / "adb"):
                return found
    if found := shutil.which("adb"):
        return found
    raise DeviceError(
        "adb is not here: install Android's platform tools (on Debian: sudo apt install adb), or "
        "set ANDROID_HOME to an SDK"
    )


def adb_device(name: str, address: str, python: bool) -> PosixDevice:
    """The phone with that serial, as `adb devices` lists it; HOST:PORT over the network."""
    habits = Habits(folders=("/data/local/tmp",), no_python=_NO_PYTHON)
    if not python:
        habits = Habits(pythons=(), folders=habits.folders)
    return PosixDevice(name, AdbWire(address), habits)
