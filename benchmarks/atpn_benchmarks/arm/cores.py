"""The ARM cores that are emulated: what each shows of itself to a program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import ConfigError

#: Cores of the board that an overlay shows.
COUNT = 4

#: What stands for the board's name.
BOARD = "emulated by QEMU"

#: The highest number that kernels give to a core.
KERNEL_MAX = 255

V80 = ("fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "cpuid")
V82 = (
    *V80[:-1],
    *("atomics", "fphp", "asimdhp", "cpuid", "asimdrdm", "lrcpc", "dcpop", "asimddp"),
)


@dataclass(frozen=True)
class Cache:
    """A data cache with lines of 64 bytes."""

    kib: int
    ways: int


@dataclass(frozen=True)
class Core:
    """One core. Runtimes choose their kernels by the part number and the features."""

    name: str  # cortex-a76
    title: str  # Cortex-A76
    part: int  # of MIDR_EL1, as /proc/cpuinfo tells it
    variant: int
    revision: int
    features: tuple[str, ...]
    hertz: int
    #: The model that QEMU 7.2 runs. It has no Cortex-A55; an A76 executes the same instructions,
    #: and the part number in /proc/cpuinfo makes the kernels those of an A55.
    model: str
    #: As in the boards with this core that most people have.
    l1: Cache
    l2: Cache


CORES = {
    core.name: core
    for core in (
        Core(
            "cortex-a53",
            "Cortex-A53",
            part=0xD03,
            variant=0,
            revision=4,
            features=V80,
            hertz=1_400_000_000,
            model="cortex-a53",
            l1=Cache(32, 4),
            l2=Cache(512, 16),
        ),
        Core(
            "cortex-a55",
            "Cortex-A55",
            part=0xD05,
            variant=1,
            revision=0,
            features=V82,
            hertz=1_800_000_000,
            model="cortex-a76",
            l1=Cache(32, 4),
            l2=Cache(512, 16),  # the shared one: RK3566's cores have none of their own
        ),
        Core(
            "cortex-a72",
            "Cortex-A72",
            part=0xD08,
            variant=0,
            revision=3,
            features=V80,
            hertz=1_800_000_000,
            model="cortex-a72",
            l1=Cache(32, 2),
            l2=Cache(1024, 16),
        ),
        Core(
            "cortex-a76",
            "Cortex-A76",
            part=0xD0B,
            variant=4,
            revision=1,
            features=V82,
            hertz=2_400_000_000,
            model="cortex-a76",
            l1=Cache(64, 4),
            l2=Cache(512, 8),
        ),
    )
}


def core_named(name: str) -> Core:
    """The core of that name; ConfigError lists those that there are."""
    if name not in CORES:
        raise ConfigError(f"no emulated core is called {name!r}; choose one of {', '.join(CORES)}")
    return CORES[name]


def overlay_files(core: Core) -> dict[str, str]:
    """What a program reads of its processor: path below the root to content.

    Without /sys LiteRT runs without XNNPACK and says nothing; with the host's own /proc/cpuinfo
    both runtimes die of a segmentation fault.
    """
    files = {
        "proc/cpuinfo": "".join(_processor(core, number) for number in range(COUNT)),
        "proc/device-tree/model": BOARD,
    }
    cpus, everyone = "sys/devices/system/cpu", f"0-{COUNT - 1}\n"
    for name in ("possible", "present", "online"):
        files[f"{cpus}/{name}"] = everyone
    files[f"{cpus}/kernel_max"] = f"{KERNEL_MAX}\n"
    for number in range(COUNT):
        for name in ("cpuinfo_max_freq", "cpuinfo_min_freq", "scaling_cur_freq"):
            files[f"{cpus}/cpu{number}/cpufreq/{name}"] = f"{core.hertz // 1000}\n"
        topology = f"{cpus}/cpu{number}/topology"
        files[f"{topology}/physical_package_id"] = "0\n"
        files[f"{topology}/core_id"] = f"{number}\n"
        for name in ("core_siblings_list", "package_cpus_list"):
            files[f"{topology}/{name}"] = everyone
    return files


def _processor(core: Core, number: int) -> str:
    facts = {
        "processor": f"{number}",
        "BogoMIPS": "108.00",
        "Features": " ".join(core.features),
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": f"{core.variant:#x}",
        "CPU part": f"{core.part:#05x}",
        "CPU revision": f"{core.revision}",
    }
    return "".join(f"{key}\t: {value}\n" for key, value in facts.items()) + "\n"


def write_overlay(core: Core, sysroot: Path, folder: Path) -> None:
    """Make `folder` a root for this core: its own files, and links to everything of the sysroot.

    The links are relative, so that the two may be moved together.
    """
    for name, text in overlay_files(core).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    up = Path(*[".."] * (len(folder.parts) - len(sysroot.parent.parts)), sysroot.name)
    for entry in sorted(sysroot.iterdir()):
        link = folder / entry.name
        if not link.exists():
            link.symlink_to(up / entry.name)
