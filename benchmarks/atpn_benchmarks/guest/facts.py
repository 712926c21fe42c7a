"""What a machine is and in which state it is, read on the machine itself.

Standard library alone, Python 3.10. Paths are taken under `root`, so that a made-up tree tells a
made-up machine. What can't be read is "", 0 or None, never an error.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from atpn_benchmarks.guest.arm_cores import core_name

ROOT = Path("/")

#: Instruction sets that kernels choose by, as /proc/cpuinfo calls them on x86 and on ARM.
FEATURES = (
    *("sse4_1", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni"),
    *("avx512_bf16", "avx512_fp16", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "vfpv4", "asimd", "fphp", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2"),
    *("svei8mm", "svebf16", "sme", "sme2"),
)

#: Kinds of thermal zones and sensors that lie in or beside the cores.
_CORE_SENSOR = re.compile(r"cpu|soc|core|x86_pkg|big|little|mid|cluster|k10|zenpower", re.I)


def machine(root: Path = ROOT) -> dict[str, Any]:
    """The fields of `results.Machine`."""
    blocks = _cpuinfo(root)
    return {
        "cpu": _cpu(blocks) or _sysctl("machdep.cpu.brand_string") or platform.processor(),
        "architecture": platform.machine(),
        "cores": _cores(root, blocks),
        "memory_bytes": _memory_bytes(root),
        "features": _features(blocks),
        "system": _system(root),
        "libc": _libc(),
        "python": platform.python_version(),
        "board": _board(root),
    }


def conditions(cores: Sequence[int], root: Path = ROOT) -> dict[str, Any]:
    """The fields of `results.Conditions`: of the slowest of the cores, and of the hottest part."""
    governors = {_cpufreq(root, core, "scaling_governor") for core in cores} - {""}
    return {
        "governor": ", ".join(sorted(governors)),
        "frequency_hz": _frequency_hz(cores, root),
        "temperature_c": hottest(temperatures(root)),
    }


def default_cores(count: int, root: Path = ROOT, allowed: Sequence[int] | None = None) -> list[int]:
    """The `count` cores to pin to: the fastest, each of its own, core 0 last among equals.

    Only cores that this process may use; fewer where there are fewer. The system's own work lands
    on core 0, and two threads of one core share its units.
    """
    usable = _usable() if allowed is None else list(allowed)
    seen: dict[str, int] = {}
    shared = {}
    for core in sorted(usable, reverse=True):
        siblings = _read(root, f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        shared[core] = seen.setdefault(siblings, 0) if siblings else 0
        seen[siblings] = shared[core] + 1
    return sorted(usable, key=lambda core: (shared[core], -_speed(core, root), core == 0, core))[
        :count
    ]


def temperatures(root: Path = ROOT) -> dict[str, float]:
    """Every sensor that tells a temperature, by its kind, in degrees Celsius; the hottest of one.

    Zones of the thermal framework, and the chips of hwmon, which desktop processors have.
    """
    found: dict[str, float] = {}
    for zone in _globbed(root, "sys/class/thermal/thermal_zone*"):
        _note(found, _text(zone / "type"), _text(zone / "temp"))
    for chip in _globbed(root, "sys/class/hwmon/hwmon*"):
        for sensor in sorted(chip.glob("temp*_input")):
            _note(found, _text(chip / "name"), _text(sensor))
    return found


def hottest(sensors: Mapping[str, float]) -> float | None:
    """The hottest sensor near the cores; of all sensors where none is known to lie there."""
    near = [celsius for kind, celsius in sensors.items() if _CORE_SENSOR.search(kind)]
    return max(near or sensors.values(), default=None)


def celsius(told: str) -> float | None:
    """What a sensor tells, in degrees; None for one that is switched off or tells no number."""
    if not re.fullmatch(r"-?\d+", told):
        return None
    value = float(told)
    # Thousandths of a degree by the rules; some phones tell tenths or whole degrees.
    value = value / 1000 if value > 1000 else value / 10 if value > 150 else value
    return value if 0 < value < 150 else None  # one that is off tells -40 or -273


def _note(found: dict[str, float], kind: str, told: str) -> None:
    if (value := celsius(told)) is not None:
        found[kind] = max(value, found.get(kind, value))


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """The blocks of /proc/cpuinfo, one a core; a last one of the whole machine on some ARM."""
    blocks = []
    for block in re.split(r"\n\s*\n", _read(root, "proc/cpuinfo")):
        pairs = (line.partition(":") for line in block.splitlines())
        if values := {key.strip(): value.strip() for key, _, value in pairs}:
            blocks.append(values)
    return blocks


def _cpu(blocks: Sequence[Mapping[str, str]]) -> str:
    """`AMD EPYC 9R45`, `Cortex-A76`, `4 x Cortex-A76 + 4 x Cortex-A55`; the later part first."""
    counted: dict[tuple[int, int], int] = {}
    for block in blocks:
        if "processor" in block and "CPU part" in block:
            part = int(block.get("CPU implementer", "0"), 16), int(block["CPU part"], 16)
            counted[part] = counted.get(part, 0) + 1
    if len(counted) == 1:
        return core_name(*next(iter(counted)))
    if counted:  # a big core of a pair has the lower number mostly; the kernel lists it last
        kinds = reversed(counted.items())
        return " + ".join(f"{count} x {core_name(*part)}" for part, count in kinds)
    names = (block.get("model name") or block.get("Hardware", "") for block in blocks)
    return next((name for name in names if name), "")


def _features(blocks: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Of FEATURES what every core has."""
    told = [block.get("flags", block.get("Features", "")).split() for block in blocks]
    sets = [set(words) for words in told if words]
    common = set.intersection(*sets) if sets else set()
    return tuple(feature for feature in FEATURES if feature in common)


def _cores(root: Path, blocks: Sequence[Mapping[str, str]]) -> int:
    """Cores that are there: present ones, switched off or not."""
    present = _listed(_read(root, "sys/devices/system/cpu/present"))
    return len(present) or sum("processor" in block for block in blocks) or os.cpu_count() or 0


def free_memory(root: Path = ROOT) -> int:
    """Bytes that a new process can have without swapping; all memory where none is told."""
    return _meminfo(root, "MemAvailable") or _memory_bytes(root)


def _memory_bytes(root: Path) -> int:
    return _meminfo(root, "MemTotal") or int(_sysctl("hw.memsize") or 0)


def _meminfo(root: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _read(root, "proc/meminfo"), re.M)
    return int(found[1]) * 1024 if found else 0


def _system(root: Path) -> str:
    if android := _android(root, "ro.build.version.release"):
        return f"Android {android}"
    return f"{platform.system()} {platform.release()}"


def _board(root: Path) -> str:
    """`Raspberry Pi 5 Model B Rev 1.0`, a phone's or a Mac's model; "" where none is told."""
    tree = _read(root, "proc/device-tree/model") or _read(root, "sys/devices/soc0/machine")
    phone = [_android(root, f"ro.product.{what}") for what in ("manufacturer", "model")]
    return " ".join(filter(None, phone)) or tree.strip("\0") or _sysctl("hw.model")


def _android(root: Path, name: str) -> str:
    """A property of Android; "" on other systems."""
    if not (root / "system/build.prop").exists():
        return ""
    return _output(["getprop", name])


def _libc() -> str:
    if hasattr(sys, "getandroidapilevel"):
        return f"bionic, API level {sys.getandroidapilevel()}"
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        return "musl"
    return " ".join(platform.libc_ver()).strip()


def _frequency_hz(cores: Sequence[int], root: Path) -> float | None:
    """Of the slowest core, now; None where the system tells none, as virtual machines do."""
    told = [_cpufreq(root, core, "scaling_cur_freq") for core in cores]
    if found := [float(khz) * 1e3 for khz in told if khz.isdigit()]:
        return min(found)
    blocks = {block.get("processor", ""): block.get("cpu MHz", "") for block in _cpuinfo(root)}
    megahertz = [float(blocks[str(core)]) for core in cores if blocks.get(str(core))]
    return min(megahertz) * 1e6 if megahertz else None


def _speed(core: int, root: Path) -> float:
    """What the kernel says that a core can do beside the others; 0 where it says nothing."""
    capacity = _read(root, f"sys/devices/system/cpu/cpu{core}/cpu_capacity")
    highest = _cpufreq(root, core, "cpuinfo_max_freq")
    # Capacity is of 1024 at the highest frequency and knows the kind of core; a frequency does not.
    return float(capacity or 0) * 1e9 + float(highest or 0)


def _cpufreq(root: Path, core: int, name: str) -> str:
    return _read(root, f"sys/devices/system/cpu/cpu{core}/cpufreq/{name}")


def _usable() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _listed(text: str) -> list[int]:
    """`0-3,6` as numbers."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _globbed(root: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from sorted(root.glob(pattern))
    except OSError:  # a phone may hide the folder
        return


def _read(root: Path, name: str) -> str:
    return _text(root / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _sysctl(name: str) -> str:
    """A value of macOS's kernel; "" on other systems."""
    return _output(["sysctl", "-n", name]) if sys.platform == "darwin" else ""


def _output(command: list[str]) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip()
