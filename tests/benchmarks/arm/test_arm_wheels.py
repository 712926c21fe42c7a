"""The wheels of an emulated board: the pinned versions, held to their hashes."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from atpn_benchmarks.arm import wheels
from atpn_benchmarks.arm.commands import CommandError
from atpn_benchmarks.arm.wheels import Wheel, wheels_in
from atpn_deploy.errors import ArmError

PINS = Path(__file__).resolve().parents[3] / "constraints.txt"


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """The wheel that lies whole in `packages`."""
    path = tmp_path / "packages" / "thing-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/__init__.py", "")
    return Wheel("thing", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_emulated_board_has_the_versions_that_everything_else_has() -> None:
    pins = PINS.read_text().splitlines()

    assert [wheel.requirement for wheel in wheels.wanted() if wheel.requirement not in pins] == []
    assert {"numpy", "onnxruntime", "ai-edge-litert", "ncnn"} <= {w.name for w in wheels.wanted()}


def test_a_line_without_a_hash_is_refused() -> None:
    with pytest.raises(ArmError, match=r"'numpy==2.4.6'; expected NAME==VERSION --hash"):
        wheels_in("# a comment\n\nnumpy==2.4.6\n")


def test_a_wheel_that_is_there_is_not_fetched(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "output", lambda *args: pytest.fail("pip was asked"))

    (path,) = wheels.fetch([wheel], tmp_path / "packages")
    wheels.unpack([path], tmp_path / "site")

    assert (tmp_path / "site/thing/__init__.py").exists()


def test_a_wheel_that_does_not_exist_is_named(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pip(argv: list[str]) -> str:
        raise CommandError("python: ERROR: No matching distribution found for onnxruntime", "")

    monkeypatch.setattr(wheels, "output", no_pip)
    absent = Wheel("onnxruntime", "1.32.0", "0" * 64)

    with pytest.raises(
        ArmError, match=r"the wheel of onnxruntime==1.32.0 for aarch64 can't be had"
    ):
        wheels.fetch([wheel, absent], tmp_path / "packages")


def test_a_wheel_of_other_bytes_is_not_taken(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "output", lambda argv: "")
    other = Wheel("thing", "1.0", "0" * 64)

    with pytest.raises(ArmError, match=r"the wheels of thing==1.0 are not those of wheels.txt"):
        wheels.fetch([other], tmp_path / "packages")
