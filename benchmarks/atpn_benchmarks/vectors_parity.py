"""Crop, tracker and filter on a device, held against the vectors and against this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_benchmarks.guest import vectors
from atpn_benchmarks.heard import Heard
from atpn_exporters.tables import plural


@dataclass(frozen=True)
class VectorsParity:
    """What a device makes of the vectors."""

    device: str
    cases: Mapping[str, int]  # how many were run, by kind: crop, tracking, smoothing
    equal_crops: int  # crops whose bytes are those of this machine
    mismatches: tuple[str, ...]  # a sentence each; empty if every vector holds

    @property
    def ok(self) -> bool:
        """Whether something was run and all of it holds."""
        return not self.mismatches and all(self.cases.values()) and "crop" in self.cases

    @property
    def line(self) -> str:
        """One line for people."""
        if not self.cases:
            return f"crop and tracker did not run on {self.device}"
        kinds = ", ".join(f"{count} of {kind}" for kind, count in self.cases.items())
        held = "all hold" if self.ok else f"{plural(len(self.mismatches), 'value')} off"
        return (
            f"crop and tracker on {self.device}: vectors ({kinds}): {held}; {self.equal_crops} of "
            f"{plural(self.cases['crop'], 'crop')} equal to this machine's bit by bit"
        )


def hold_vectors(device: Device) -> VectorsParity:
    """Run the vectors on an open device that has the guest already."""
    heard = Heard()
    try:
        status = device.run(["guest.pyz", "vectors"], heard.line)
    except DeviceError as error:
        return VectorsParity(device.name, {}, 0, (str(error),))
    if heard.vectors is None:
        last = device.last_errors().strip().rpartition("\n")[2]
        why = f"the guest ended with status {status}: {last}"
        return VectorsParity(device.name, {}, 0, (why,))
    there, here = heard.vectors, vectors.outcome()
    equal = [there["crops"].get(name) == sha256 for name, sha256 in here["crops"].items()]
    return VectorsParity(device.name, there["cases"], sum(equal), tuple(there["mismatches"]))
