"""What an ARM environment is made of, part by part: the recipe of each, and how it is made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from atpn_benchmarks.arm import debian, wheels
from atpn_benchmarks.arm.commands import output
from atpn_benchmarks.arm.cores import CORES, overlay_files, write_overlay
from atpn_deploy.errors import ArmError

EMULATOR = ("qemu-user",)
LLVM = ("llvm-19",)
#: What Python and the wheels are linked to.
BOARD = ("python3.11", "libstdc++6", "libgomp1")
#: Where the wheels are unpacked, from the board's root.
SITE = "opt/site"

PLUGIN_SOURCE = Path(__file__).with_name("regions.c")
HEADER = "qemu-plugin.h"
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared")


@dataclass(frozen=True)
class Workshop:
    """Where parts are made, and what they are made of."""

    folder: Path
    mirror: str  # of Debian; "" takes this machine's
    qemu: Path | None = None  # another emulator than Debian's

    @property
    def packages(self) -> Path:
        """Everything fetched, kept for the next time."""
        return self.folder / "packages"

    def apt(self, architecture: str) -> debian.Apt:
        """Debian's packages of an architecture."""
        mirror = self.mirror or debian.mirror_here()
        return debian.Apt(self.folder / "apt" / architecture, architecture, mirror)

    def lay(self, architecture: str, packages: Sequence[str], root: Path) -> dict[str, str]:
        """Unpack packages and all that they depend on below `root`; their versions."""
        apt = self.apt(architecture)
        archives = apt.closure(packages)
        apt.fetch(archives, self.packages)
        debian.unpack(archives, self.packages, root)
        return {archive.package: archive.version for archive in archives}


@dataclass(frozen=True)
class Part:
    """One folder of an environment."""

    name: str
    title: str  # what is done for it
    typical_s: float
    #: Everything that it is asked to be made of, as far as this machine knows without asking.
    wish: Callable[[Workshop], object]
    #: Make it in an empty folder; the versions of what came.
    make: Callable[[Workshop, Path], dict[str, str]]

    def recipe(self, workshop: Workshop) -> str:
        """Hash of the wish: a part with another one is stale."""
        text = json.dumps(self.wish(workshop), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _make_emulator(workshop: Workshop, root: Path) -> dict[str, str]:
    if workshop.qemu is None:
        return workshop.lay(debian.host_architecture(), EMULATOR, root)
    if not os.access(workshop.qemu, os.X_OK):
        raise ArmError(f"no QEMU at {workshop.qemu}; expected a qemu-aarch64 of your own")
    root.mkdir(parents=True)
    (root / "qemu-aarch64").symlink_to(workshop.qemu.resolve())
    told = output([str(workshop.qemu), "--version"])
    return {"qemu-user": told.split("version ")[-1].split()[0]}


def _make_sysroot(workshop: Workshop, root: Path) -> dict[str, str]:
    versions = workshop.lay("arm64", BOARD, root)
    wanted = wheels.wanted()
    wheels.unpack(wheels.fetch(wanted, workshop.packages), root / SITE)
    return versions | {wheel.name: wheel.version for wheel in wanted}


def _make_plugin(workshop: Workshop, root: Path) -> dict[str, str]:
    root.mkdir(parents=True)
    versions = _take_header(workshop, root)
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("gcc", "cc", "clang")), "gcc")
    argv = [compiler, *FLAGS, f"-I{root}", "-o", str(root / "regions.so"), str(PLUGIN_SOURCE)]
    output(argv, install="apt-get install gcc libc6-dev")
    return versions


def _take_header(workshop: Workshop, root: Path) -> dict[str, str]:
    """QEMU's own header: it is under the GPL, so it comes from the source and not with us."""
    if workshop.qemu is not None:
        beside = workshop.qemu.resolve().parent.parent / "include" / HEADER
        if beside.is_file():
            shutil.copy(beside, root / HEADER)
            return {}
    apt = workshop.apt(debian.host_architecture())
    path = apt.fetch_source("qemu", workshop.packages)
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(f"include/qemu/{HEADER}"):
                content = archive.extractfile(member)
                if content is not None:
                    (root / HEADER).write_bytes(content.read())
                    return {"qemu source": path.name.partition("_")[2].partition(".orig")[0]}
    raise ArmError(f"{path} holds no {HEADER}")


def _make_cores(workshop: Workshop, root: Path) -> dict[str, str]:
    for core in CORES.values():
        # Written for where the part will lie, beside the sysroot.
        write_overlay(core, workshop.folder / "sysroot", root / core.name)
    return {}


def _make_llvm(workshop: Workshop, root: Path) -> dict[str, str]:
    return workshop.lay(debian.host_architecture(), LLVM, root)


#: In the order in which they are made.
PARTS = (
    Part(
        "emulator",
        "QEMU",
        4,
        lambda workshop: [debian.SUITE, EMULATOR, str(workshop.qemu or "")],
        _make_emulator,
    ),
    Part(
        "sysroot",
        "Debian's arm64 packages and the aarch64 wheels",
        12,
        lambda _: [debian.SUITE, BOARD, SITE, [asdict(wheel) for wheel in wheels.wanted()]],
        _make_sysroot,
    ),
    Part(
        "plugin",
        "the plugin that counts",
        4,
        lambda workshop: [
            debian.SUITE,
            PLUGIN_SOURCE.read_text(),
            FLAGS,
            str(workshop.qemu or ""),
        ],
        _make_plugin,
    ),
    Part(
        "cores",
        "what each core shows of itself",
        1,
        lambda _: [BOARD, *([core.name, overlay_files(core)] for core in CORES.values())],
        _make_cores,
    ),
    Part("llvm", "llvm-mca, for estimates", 10, lambda _: [debian.SUITE, LLVM], _make_llvm),
)
