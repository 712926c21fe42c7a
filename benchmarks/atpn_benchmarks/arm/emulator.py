"""How a Python program is started on an emulated core."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_benchmarks.arm.cores import Core
from atpn_benchmarks.arm.environment import Environment
from atpn_benchmarks.arm.parts import SITE

PYTHON = "usr/bin/python3.11"

#: What an emulated program hears of its kernel, so that no result depends on this machine's.
KERNEL = "6.1.0"


@dataclass(frozen=True)
class Emulator:
    """QEMU in user mode on one core, with the plugin that counts."""

    environment: Environment
    core: Core
    caches: bool = False  # simulate the core's data caches, twice as slow

    def words(self, prefix: str) -> list[str]:
        """Words that start the emulated Python; its regions go to PREFIX.PROCESS.TAG.

        A relative prefix is one in the folder that the program is started in.
        """
        overlay = self.environment.overlay(self.core)
        variables = {"PYTHONPATH": f"/{SITE}", "PYTHONNOUSERSITE": "1", "PYTHONHASHSEED": "0"}
        return [
            *self.environment.qemu,
            *("-cpu", self.core.model, "-r", KERNEL, "-L", str(overlay)),
            *(word for pair in variables.items() for word in ("-E", "=".join(pair))),
            *("-plugin", ",".join([str(self.environment.plugin), *self._arguments(prefix)])),
            str(overlay / PYTHON),
            "-S",  # the site packages of this machine are at the same path
        ]

    def _arguments(self, prefix: str) -> list[str]:
        l1, l2 = self.core.l1, self.core.l2
        # The clock's readings cost next to nothing; they tell operators apart.
        arguments = [f"out={prefix}", "clock=on"]
        if self.caches:
            arguments += ["cache=on", f"l1={l1.kib}:{l1.ways}", f"l2={l2.kib}:{l2.ways}"]
        return arguments
