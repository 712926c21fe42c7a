"""The ARM environment on disk: what lies where, and whether it is what this version wants."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from atpn_benchmarks.arm.cores import Core
from atpn_deploy.errors import ArmError

#: Names another folder than the one below the user's cache.
FOLDER_VARIABLE = "ATPN_ARM_FOLDER"

SETUP = "atpn-bench setup-arm"

STAMP = "stamp.json"


def default_folder() -> Path:
    """Where the environment lies unless told otherwise."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "atpn-deploy" / "arm"


@dataclass(frozen=True)
class Made:
    """One part as it was made."""

    recipe: str  # hash of everything that it was asked to be made of
    versions: dict[str, str]  # what came: package or tool to version


@dataclass(frozen=True)
class Stamp:
    """What an environment was made of, part by part."""

    parts: dict[str, Made] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Stamp:
        """The stamp of an environment; an empty one where there is none that can be read."""
        try:
            values = json.loads((folder / STAMP).read_text())
            return cls({name: Made(**made) for name, made in values["parts"].items()})
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def save(self, folder: Path) -> None:
        """Write it whole or not at all."""
        partial = folder / f"{STAMP}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(folder / STAMP)

    def with_part(self, name: str, made: Made) -> Stamp:
        """The same with one part made anew."""
        return Stamp({**self.parts, name: made})

    def without(self, name: str) -> Stamp:
        """The same before a part is made anew."""
        return Stamp({key: made for key, made in self.parts.items() if key != name})


@dataclass(frozen=True)
class Environment:
    """A whole environment."""

    folder: Path

    @property
    def sysroot(self) -> Path:
        """The root that every core's overlay links to: Debian's arm64 packages and the wheels."""
        return self.folder / "sysroot"

    @property
    def llvm(self) -> Path:
        """The root that Debian's LLVM packages are unpacked in."""
        return self.folder / "llvm"

    @property
    def plugin(self) -> Path:
        """What counts instructions."""
        return self.folder / "plugin" / "regions.so"

    def overlay(self, core: Core) -> Path:
        """The root that programs on a core see."""
        return self.folder / "cores" / core.name

    @property
    def qemu(self) -> list[str]:
        """Words that start the emulator."""
        root = self.folder / "emulator"
        own = root / "qemu-aarch64"
        if own.exists():
            return [str(own)]
        return unpacked(root, root / "usr/bin/qemu-aarch64")

    @property
    def versions(self) -> dict[str, str]:
        """What it was made of: package to version."""
        parts = Stamp.read(self.folder).parts.values()
        return {name: version for made in parts for name, version in made.versions.items()}


def unpacked(root: Path, program: Path) -> list[str]:
    """Words that start a program of unpacked packages, on the libraries beside it alone."""
    loaders = sorted(root.glob("lib*/ld-linux*.so*")) + sorted(root.glob("lib/*/ld-linux*.so*"))
    inside = [path for path in loaders if path.resolve().is_relative_to(root.resolve())]
    if not inside:
        raise ArmError(f"{root} holds no loader of programs: {SETUP}")
    libraries = [*sorted(root.glob("lib/*-linux-gnu*")), *sorted(root.glob("usr/lib/*-linux-gnu*"))]
    return [str(inside[0]), "--library-path", ":".join(map(str, libraries)), str(program)]


def lacking(folder: Path, recipes: dict[str, str]) -> list[str]:
    """The parts that are missing or were made by another recipe."""
    parts = Stamp.read(folder).parts
    return [
        name
        for name, recipe in recipes.items()
        if name not in parts or parts[name].recipe != recipe or not (folder / name).is_dir()
    ]


def remove(folder: Path) -> bool:
    """Remove an environment; False if there is none. ArmError for a folder that is none."""
    if not folder.exists():
        return False
    if not (folder / STAMP).exists() and not (folder / "packages").exists() and any_of(folder):
        raise ArmError(f"{folder} is no ARM environment: it holds no {STAMP}")
    shutil.rmtree(folder)
    return True


def any_of(folder: Path) -> bool:
    """Whether a folder holds anything."""
    entries: Iterable[Path] = folder.iterdir()
    return any(True for _ in entries)
