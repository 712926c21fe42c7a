"""From what a user types after --device to the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.devices.adb_device import adb_device
from atpn_benchmarks.devices.android_benchmark import AndroidBenchmark
from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_benchmarks.devices.local_device import local_device
from atpn_benchmarks.devices.posix_device import PosixDevice
from atpn_benchmarks.devices.qemu_device import qemu_device
from atpn_benchmarks.devices.ssh_device import ssh_device


@dataclass(frozen=True)
class Form:
    """One way to name a device."""

    scheme: str  # what stands before the colon
    address: str  # what stands behind it, as help shows it; "" where nothing does
    #: Takes the text as typed, its address, and whether guests in Python are to run there.
    make: Callable[[str, str, bool], PosixDevice]
    #: Whether the platform's own benchmark_model may take the place of Python there.
    benchmark_model: bool = False

    @property
    def text(self) -> str:
        """As help shows it."""
        return f"{self.scheme}:{self.address}" if self.address else self.scheme


FORMS = (
    Form("local", "", local_device),
    Form("ssh", "USER@HOST[:PORT]", ssh_device),
    Form("adb", "SERIAL", adb_device, benchmark_model=True),
    Form("qemu", "CORE", qemu_device),
)


def named(text: str, *, benchmark_model: Path | None = None) -> Device:
    """The device of that name, not yet opened; DeviceError with the forms if it has none of them.

    With `benchmark_model`, a phone does its jobs with that program instead of Python.
    """
    scheme, _, address = text.partition(":")
    for form in FORMS:
        if form.scheme == scheme and bool(form.address) == bool(address):
            if form.benchmark_model and benchmark_model is not None:
                return AndroidBenchmark(form.make(text, address, False), benchmark_model)
            return form.make(text, address, True)
    forms = ", ".join(form.text for form in FORMS)
    raise DeviceError(f"no device {text!r}: expected {forms}")
