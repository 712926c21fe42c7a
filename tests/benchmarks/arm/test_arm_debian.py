"""Debian's packages without root: what apt says is read, and what came is held to its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from atpn_benchmarks.arm import debian
from atpn_benchmarks.arm.debian import Apt, Archive, archives_in, mirror_of
from atpn_deploy.errors import ArmError

CONTENT = b"a package"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URIS = (
    f"'http://mirror/pool/q/qemu-user_7.2_amd64.deb' qemu-user_1%3a7.2_amd64.deb 9 SHA256:{SHA256}"
)

#: Answers as apt-get does; what it does on `download` is each test's own.
APT = """#!/bin/sh
echo "$@" >>{log}
case "$*" in
  *nonsuch*) echo "E: Unable to locate package nonsuch" >&2; exit 100;;
  *--print-uris*) echo "{uris}";;
  *update*) {update};;
  *download*) {download};;
esac
"""


class FakeApt:
    """An apt-get on the path, and what it was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program, self._log = folder / "apt-get", folder / "log"
        self.packages = folder / "packages"
        self.root = folder / "apt"
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        keyring = folder / "keyring.gpg"
        keyring.touch()
        monkeypatch.setattr(debian, "KEYRING", keyring)
        self.does()

    def does(self, download: str = "true", update: str = "true") -> None:
        """What it does when it is asked to download and to update."""
        text = APT.format(log=self._log, uris=URIS, download=download, update=update)
        self._program.write_text(text)
        self._program.chmod(0o755)

    def with_lists(self) -> Apt:
        """An apt that has fetched its index."""
        apt = Apt(self.root, "amd64", "http://mirror/debian")
        (self.root / "lists/mirror_Packages").touch()
        return apt

    @property
    def downloads(self) -> int:
        """How often it was asked to."""
        return sum("download" in line for line in self._log.read_text().splitlines())


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return FakeApt(tmp_path, monkeypatch)


def test_archives_are_read_from_what_apt_would_fetch() -> None:
    (archive,) = archives_in(f"Reading lists\n{URIS}\n")

    assert archive == Archive("qemu-user_1%3a7.2_amd64.deb", 9, SHA256)
    assert (archive.package, archive.version) == ("qemu-user", "1:7.2")


def test_mirror_is_this_machines_debian_whatever_else_it_has() -> None:
    told = "http://m/tools/\nhttp://m/debian-security/\nhttp://m/debian/\n"

    assert mirror_of(told) == "http://m/debian"
    assert mirror_of("http://m/ubuntu/\n") == ""


def test_a_package_that_is_not_there_is_named(apt_get: FakeApt) -> None:
    with pytest.raises(ArmError, match=r"Debian's nonsuch can't be had"):
        apt_get.with_lists().closure(["nonsuch"])


def test_whole_packages_are_not_fetched_twice(apt_get: FakeApt) -> None:
    apt_get.does(download="printf 'a package' >qemu-user_1%3a7.2_amd64.deb")
    apt = apt_get.with_lists()

    for _ in range(2):
        apt.fetch(apt.closure(["qemu-user"]), apt_get.packages)

    assert apt_get.downloads == 1


def test_a_package_cut_short_by_an_interruption_is_fetched_anew(apt_get: FakeApt) -> None:
    apt_get.does(download="printf 'a package' >qemu-user_1%3a7.2_amd64.deb")
    apt_get.packages.mkdir()
    (apt_get.packages / "qemu-user_1%3a7.2_amd64.deb").write_bytes(CONTENT[:4])
    apt = apt_get.with_lists()

    apt.fetch(apt.closure(["qemu-user"]), apt_get.packages)

    assert (apt_get.packages / "qemu-user_1%3a7.2_amd64.deb").read_bytes() == CONTENT


def test_a_package_of_other_bytes_is_refused(apt_get: FakeApt) -> None:
    apt_get.does(download="printf 'A PACKAGE' >qemu-user_1%3a7.2_amd64.deb")
    apt = apt_get.with_lists()

    with pytest.raises(ArmError, match=r"qemu-user_1%3a7.2_amd64.deb is not the file in Debian's"):
        apt.fetch(apt.closure(["qemu-user"]), apt_get.packages)


def test_a_mirror_that_has_lost_a_package_is_told_with_its_name(apt_get: FakeApt) -> None:
    failure = "echo 'E: Failed to fetch http://m/pool/qemu-user_7.2_amd64.deb  404' >&2; exit 100"
    apt_get.does(download=failure)
    apt = apt_get.with_lists()

    with pytest.raises(ArmError, match=r"Debian's qemu-user_7.2_amd64.deb can't be had"):
        apt.fetch(apt.closure(["qemu-user"]), apt_get.packages)
    assert apt_get.downloads == 2  # the second time with a new index


def test_without_a_network_the_index_from_before_must_do(apt_get: FakeApt) -> None:
    apt_get.does(update="echo 'E: Could not resolve' >&2; exit 100")

    apt_get.with_lists().update()

    (apt_get.root / "lists/mirror_Packages").unlink()
    with pytest.raises(ArmError, match="index of packages can't be had: apt-get: E: Could not"):
        Apt(apt_get.root, "amd64", "http://mirror/debian").update()


def test_without_debians_keys_nothing_is_believed(
    apt_get: FakeApt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "absent.gpg")

    with pytest.raises(ArmError, match="apt-get install debian-archive-keyring"):
        apt_get.with_lists()


def test_a_machine_without_apt_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ArmError, match=r"can't run apt-get .*on Debian and its kin"):
        debian.mirror_here()
