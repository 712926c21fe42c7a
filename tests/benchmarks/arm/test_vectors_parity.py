"""What a device makes of the crop's and the tracker's vectors, held here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atpn_benchmarks import device_parity
from atpn_benchmarks.device_parity import DeviceParity
from atpn_benchmarks.devices.device import DeviceLostError
from atpn_benchmarks.vectors_parity import VectorsParity, hold_vectors
from atpn_deploy.cli.parity import app
from atpn_exporters.parity_run import ParityResult

CASES = {"crop": 2, "tracking": 3}


class Board:
    """Tells this, or dies."""

    name = "ssh:board"

    def __init__(self, told: dict[str, Any] | None) -> None:
        self._told = told

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        assert guest == ["guest.pyz", "vectors"]
        if self._told is None:
            return 1
        on_line(json.dumps({"event": "vectors", **self._told}))
        return 0

    def last_errors(self) -> str:
        return "Traceback (most recent call last):\nModuleNotFoundError: no numpy\n"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's crops are `one` and `two`."""
    told = {"cases": CASES, "mismatches": [], "crops": {"one": "aa", "two": "bb"}}
    monkeypatch.setattr("atpn_benchmarks.guest.vectors.outcome", lambda: told)


def told(*mismatches: str, two: str = "bb") -> dict[str, Any]:
    return {
        "cases": CASES,
        "mismatches": list(mismatches),
        "crops": {"one": "aa", "two": two},
    }


@pytest.mark.usefixtures("here")
def test_equal_bytes_and_vectors_that_hold_are_told() -> None:
    found = hold_vectors(Board(told()))

    assert found.ok
    assert found.line == (
        "crop and tracker on ssh:board: vectors (2 of crop, 3 of tracking): all hold; "
        "2 of 2 crops equal to this machine's bit by bit"
    )


@pytest.mark.usefixtures("here")
def test_a_crop_that_rounds_a_half_the_other_way_is_counted_and_holds() -> None:
    found = hold_vectors(Board(told(two="cc")))

    assert found.ok
    assert found.equal_crops == 1


@pytest.mark.usefixtures("here")
def test_a_vector_that_does_not_hold_is_named() -> None:
    found = hold_vectors(Board(told("tracking, exit, frame 3: ...")))

    assert not found.ok
    assert found.mismatches == ("tracking, exit, frame 3: ...",)
    assert "1 value off" in found.line


@pytest.mark.usefixtures("here")
def test_a_guest_that_dies_holds_nothing() -> None:
    found = hold_vectors(Board(None))

    assert not found.ok
    assert found.mismatches == ("the guest ended with status 1: ModuleNotFoundError: no numpy",)
    assert found.line == "crop and tracker did not run on ssh:board"


def test_a_lost_board_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(None)

    def lose(guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        raise DeviceLostError("ssh:board went away")

    monkeypatch.setattr(board, "run", lose)

    assert hold_vectors(board).mismatches == ("ssh:board went away",)


@pytest.mark.parametrize(("mismatches", "status"), [((), 0), (("crop, one to one: ...",), 1)])
def test_the_command_says_it_and_fails_by_it(
    mismatches: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("a.tflite")
    found = VectorsParity("ssh:board", CASES, 2, mismatches)
    parity = DeviceParity({path: good(path)}, found)
    monkeypatch.setattr(device_parity, "check_named", lambda *arguments: parity)

    made = CliRunner().invoke(app, ["--device", "ssh:board", str(path)])

    assert made.exit_code == status
    assert found.line in made.stdout
    assert made.stderr == "".join(f"error: ssh:board: {line}\n" for line in mismatches)


def good(path: Path) -> ParityResult:
    class Fine(ParityResult):
        ok = True

    return Fine(path, ())
