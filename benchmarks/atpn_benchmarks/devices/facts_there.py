"""What a machine without Python is: its system's files are fetched and read here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atpn_benchmarks.devices.device import Device
from atpn_benchmarks.guest import facts

_CPU = "/sys/devices/system/cpu"

#: What `guest.facts` reads, as the device's shell finds it.
_FILES = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    f"{_CPU}/present",
    f"{_CPU}/cpu[0-9]*/cpu_capacity",
    f"{_CPU}/cpu[0-9]*/topology/thread_siblings_list",
    f"{_CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq",
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    "/sys/class/thermal/thermal_zone*/type",
    "/sys/class/thermal/thermal_zone*/temp",
)

#: Stands before each file's name; no such file holds it.
_MARK = "atpn-file "


@contextmanager
def fetched(device: Device) -> Iterator[Path]:
    """A folder that holds copies of the files, as a root for `guest.facts`."""
    script = (
        f"for file in {' '.join(_FILES)}; do "
        f'[ -r "$file" ] && {{ echo "{_MARK}$file"; cat "$file"; echo; }}; done 2>/dev/null; true'
    )
    with tempfile.TemporaryDirectory(prefix="atpn-facts-") as name:
        for part in device.ask(script).split(_MARK)[1:]:
            path, _, text = part.partition("\n")
            copy = Path(name, path.lstrip("/"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
        yield Path(name)


def machine(device: Device, root: Path) -> dict[str, Any]:
    """The fields of `results.Machine`, of an Android that has no Python."""
    script = (
        "uname -m; uname -sr; for what in build.version.release product.manufacturer "
        'product.model; do echo "$(getprop ro.$what 2>/dev/null)"; done'
    )
    architecture, kernel, release, maker, model = device.ask(script).split("\n")
    return {
        **facts.machine(root),
        "architecture": architecture,
        "system": f"Android {release}" if release else kernel,
        "libc": "bionic" if release else "",
        "python": "",
        "board": f"{maker} {model}".strip(),
    }


def cores(root: Path, count: int) -> list[int]:
    """The fastest cores there."""
    return facts.default_cores(count, root, range(facts.machine(root)["cores"]))
