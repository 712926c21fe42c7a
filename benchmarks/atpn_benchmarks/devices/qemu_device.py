"""An emulated ARM core as a device: this machine's shell, and a Python that runs under QEMU."""

from __future__ import annotations

import shlex

from atpn_benchmarks.arm.cores import core_named
from atpn_benchmarks.arm.emulator import Emulator
from atpn_benchmarks.arm.environment import default_folder
from atpn_benchmarks.arm.making import open_environment
from atpn_benchmarks.devices.local_device import LocalWire
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice
from atpn_benchmarks.guest.process import PYTHON_VARIABLE

#: Where the regions of a run lie in the device's folder: this, the process and the tag.
REGIONS = "region"

#: Three seconds where nothing else runs; several emulators on a small machine take minutes.
START_S = 300.0

#: Behind the core's name: its caches are simulated too.
CACHES = "+caches"


def qemu_device(name: str, address: str, python: bool) -> PosixDevice:
    """The core of that name, such as cortex-a76 or cortex-a76+caches.

    ConfigError for a core that is not emulated, ArmError without a whole environment.
    """
    core = core_named(address.removesuffix(CACHES))
    environment = open_environment(default_folder())
    emulator = Emulator(environment, core, caches=address.endswith(CACHES))
    words = shlex.join(emulator.words(REGIONS))
    # The guest starts processes of its own, which the system can't do by the path of its Python.
    command = f"env {PYTHON_VARIABLE}={shlex.quote(words)} {words}"
    pythons = (command,) if python else ()
    habits = Habits(pythons, variables=False, measures="instructions", start_s=START_S)
    return PosixDevice(name, LocalWire(), habits)
