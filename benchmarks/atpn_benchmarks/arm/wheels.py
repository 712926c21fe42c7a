"""The wheels of an emulated board: fetched by pip, held to the hashes of wheels.txt, unpacked."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.arm.commands import CommandError, output
from atpn_deploy.errors import ArmError

LIST = Path(__file__).with_name("wheels.txt")

#: What the wheels may be built for; Debian 12 has glibc 2.36.
PYTHON = "3.11"
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64")


@dataclass(frozen=True)
class Wheel:
    """One line of the list."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


def wheels_in(text: str) -> tuple[Wheel, ...]:
    """The lines of a list: name==version --hash=sha256:digest, and comments."""
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})", line)
        if match is None:
            raise ArmError(f"{LIST.name} holds {line!r}; expected NAME==VERSION --hash=sha256:...")
        found.append(Wheel(*match.groups()))
    return tuple(found)


def wanted() -> tuple[Wheel, ...]:
    """What the list asks for."""
    return wheels_in(LIST.read_text())


def fetch(wheels: Sequence[Wheel], folder: Path) -> list[Path]:
    """Have them all in `folder`, in the order asked for; those from before are not fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    here = _by_hash(folder)
    for wheel in wheels:
        if wheel.sha256 not in here:
            _download(wheel, folder)
    here = _by_hash(folder)
    if absent := [wheel.requirement for wheel in wheels if wheel.sha256 not in here]:
        raise ArmError(f"the wheels of {', '.join(absent)} are not those of {LIST.name}")
    return [here[wheel.sha256] for wheel in wheels]


def _by_hash(folder: Path) -> dict[str, Path]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.glob("*.whl")}


def _download(wheel: Wheel, folder: Path) -> None:
    listed = folder / f"{wheel.name}.txt"
    listed.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    try:
        output([*argv, *platforms, "--dest", str(folder), "--requirement", str(listed)])
    except CommandError as error:
        if "No module named pip" in error.errors:
            raise ArmError(f"{sys.executable} has no pip: {sys.executable} -m ensurepip") from error
        raise ArmError(
            f"the wheel of {wheel.requirement} for aarch64 can't be had: {error}"
        ) from error
    finally:
        listed.unlink()


def unpack(paths: Sequence[Path], folder: Path) -> None:
    """Lay the wheels' files into `folder`, as an installation would."""
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
