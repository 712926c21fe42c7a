"""Debian's packages for any architecture, by apt, without root and beside the system's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from atpn_benchmarks.arm.commands import CommandError, output
from atpn_deploy.errors import ArmError

#: The release that everything is taken from, whatever this machine runs: with it come Python 3.11,
#: for which the wheels are, and QEMU 7.2.
SUITE = "bookworm"

#: Debian's own keys; a package of this name ships them on Ubuntu too.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

NO_APT = "the ARM environment is made of Debian packages, on Debian and its kin"


@dataclass(frozen=True)
class Archive:
    """One file of Debian's, as its signed index describes it."""

    file: str
    size: int
    sha256: str

    @property
    def package(self) -> str:
        """The name before the version."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """As the package tells it."""
        return unquote(self.file.split("_")[1])

    def intact(self, folder: Path) -> bool:
        """Whether `folder` holds exactly this file."""
        path = folder / self.file
        return (
            path.is_file()
            and path.stat().st_size == self.size
            and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256
        )


def archives_in(told: str) -> list[Archive]:
    """The lines of `apt-get --print-uris`: 'URI' file size SHA256:digest; others are left."""
    found = re.findall(r"^'[^']*' (\S+) (\d+) SHA256:([0-9a-f]{64})$", told, re.M)
    return [Archive(file, int(size), sha256) for file, size, sha256 in found]


def mirror_of(told: str) -> str:
    """Debian's mirror among the sources of this machine, one URI a line; "" if there is none."""
    uris = (line.strip().rstrip("/") for line in told.splitlines())
    return next((uri for uri in uris if uri.rpartition("/")[2] == "debian"), "")


def mirror_here() -> str:
    """The mirror that this machine's apt takes Debian from, or ArmError."""
    told = output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        install=NO_APT,
    )
    if mirror := mirror_of(told):
        return mirror
    raise ArmError(
        "no Debian mirror is among this machine's apt sources; name the one nearest to you: "
        "--mirror http://HOST/debian"
    )


class Apt:
    """An apt of our own for one architecture: its lists, its state, nothing installed."""

    def __init__(self, folder: Path, architecture: str, mirror: str) -> None:
        """Write its configuration; nothing is fetched yet."""
        if not KEYRING.is_file():
            raise ArmError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
        self._folder = folder.resolve()
        self._lists = self._folder / "lists"
        for name in ("lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        signed = f"[signed-by={KEYRING}] {mirror} {SUITE} main"
        _write(self._folder / "sources.list", f"deb {signed}\ndeb-src {signed}\n")
        _write(self._folder / "apt.conf", _configuration(self._folder, architecture))

    def _run(self, *arguments: str, folder: Path | None = None) -> str:
        environment = {"APT_CONFIG": str(self._folder / "apt.conf")}
        return output(
            ["apt-get", "-qq", *arguments], folder=folder, environment=environment, install=NO_APT
        )

    def update(self) -> None:
        """Fetch the signed index anew; where that fails the one from before must do."""
        try:
            self._run("update", "--error-on=any")
        except CommandError as error:
            if not any(self._lists.glob("*_Packages*")):
                raise ArmError(f"Debian's index of packages can't be had: {error}") from error

    def closure(self, packages: Sequence[str]) -> list[Archive]:
        """The packages and everything that they depend on; ArmError names one that is not there."""
        told = self._ask("install", "--yes", "--no-install-recommends", *packages)
        return archives_in(told)

    def source(self, package: str) -> Archive:
        """The original source of a package, in the version of its binaries here."""
        return archives_in(self._ask("source", "--tar-only", package))[0]

    def _ask(self, verb: str, *words: str) -> str:
        if not any(self._lists.glob("*_Packages*")):
            self.update()
        try:
            return self._run(verb, "--print-uris", "-o", "Acquire::ForceHash=SHA256", *words)
        except CommandError as error:
            raise _unavailable(error) from error

    def fetch(self, archives: Iterable[Archive], folder: Path) -> None:
        """Have them all in `folder`; what lies there intact from before is not fetched again."""
        folder.mkdir(parents=True, exist_ok=True)
        missing = [archive for archive in archives if not archive.intact(folder)]
        if missing:
            self._download("download", [archive.package for archive in missing], folder)
        _hold(missing, folder)

    def fetch_source(self, package: str, folder: Path) -> Path:
        """Have the original source of a package in `folder`."""
        archive = self.source(package)
        if not archive.intact(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._download("source", ["--download-only", "--tar-only", package], folder)
            _hold([archive], folder)
        return folder / archive.file

    def _download(self, verb: str, words: Sequence[str], folder: Path) -> None:
        try:
            self._run(verb, *words, folder=folder)
        except CommandError:
            self.update()  # the mirror may hold a later version than our index knows
            try:
                self._run(verb, *words, folder=folder)
            except CommandError as error:
                raise _unavailable(error) from error


def _hold(archives: Iterable[Archive], folder: Path) -> None:
    """ArmError where one is not what the index says."""
    for archive in archives:
        if not archive.intact(folder):
            raise ArmError(
                f"{archive.file} is not the file in Debian's index (sha256 "
                f"{archive.sha256[:12]}...); type atpn-bench setup-arm again"
            )


def _unavailable(error: CommandError) -> ArmError:
    """Which package can't be had, from what apt said."""
    named = re.findall(r"Unable to (?:locate|find a source) (?:package|for) (\S+)", error.errors)
    named += re.findall(r"Failed to fetch \S*/([^/\s]+)", error.errors)
    if named:
        return ArmError(f"Debian's {', '.join(named)} can't be had: {error}")
    return ArmError(f"Debian's packages can't be had: {error}")


def _write(path: Path, text: str) -> None:
    """Unless it says so already: apt drops its index when its configuration is newer."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _configuration(folder: Path, architecture: str) -> str:
    values = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "",  # apt's own user can't write to a folder of ours
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    lines = [f'{name} "{value}";' for name, value in values.items()]
    return "\n".join([*lines, f'APT::Architectures {{ "{architecture}"; }};', ""])


def unpack(archives: Iterable[Archive], packages: Path, folder: Path) -> None:
    """Lay the files of packages into `folder`; nothing of them is run."""
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        output(["dpkg-deb", "-x", str(packages / archive.file), str(folder)], install=NO_APT)


def host_architecture() -> str:
    """Debian's name of this machine's: amd64."""
    return output(["dpkg", "--print-architecture"], install=NO_APT).strip()
