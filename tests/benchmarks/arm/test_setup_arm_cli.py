"""atpn-bench setup-arm as it is typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from atpn_benchmarks.arm import making
from atpn_benchmarks.arm.environment import FOLDER_VARIABLE, Environment
from atpn_benchmarks.arm.parts import Workshop
from atpn_deploy.cli import bench_setup_arm
from atpn_deploy.errors import ArmError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "arm"))


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["atpn-bench setup-arm", *words])
    with pytest.raises(SystemExit) as stop:
        bench_setup_arm.main()
    return int(stop.value.code or 0)


def test_what_can_not_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(workshop: Workshop, listener: object) -> Environment:
        raise ArmError("Debian's qemu-user can't be had: apt-get: E: Unable to locate package")

    monkeypatch.setattr(making, "make", make)

    assert typed(monkeypatch) == 2
    assert capsys.readouterr().err == (
        "error: Debian's qemu-user can't be had: apt-get: E: Unable to locate package\n"
    )


def test_folder_mirror_and_qemu_are_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Workshop] = []

    def make(workshop: Workshop, listener: object) -> Environment:
        made.append(workshop)
        raise ArmError("enough")

    monkeypatch.setattr(making, "make", make)
    typed(monkeypatch, "--mirror", "http://m/debian", "--qemu", "/opt/qemu-aarch64")
    typed(monkeypatch, "--folder", str(tmp_path / "other"))

    assert made == [
        Workshop(tmp_path / "arm", "http://m/debian", Path("/opt/qemu-aarch64")),
        Workshop(tmp_path / "other", ""),
    ]


def test_removing_what_is_not_there_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert typed(monkeypatch, "--remove") == 0
    assert capsys.readouterr().err == f"there is no {tmp_path / 'arm'}\n"
