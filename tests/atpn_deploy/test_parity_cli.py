"""atpn-parity on real files: what CI sees when a file is right, wrong, foreign or missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from atpn_deploy.cli.parity import app

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")


def parity(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(shipped_onnx: Path) -> Path:
    """The shipped checkpoint as ONNX."""
    return shipped_onnx


def test_right_file_is_status_0_and_shows_every_limit(file: Path) -> None:
    result = parity(file)
    assert result.exit_code == 0
    assert "px" in result.output
    assert "degree" in result.output


def test_json_and_junit_hold_every_row(file: Path, tmp_path: Path) -> None:
    json_path, junit_path = tmp_path / "p.json", tmp_path / "p.xml"
    assert parity(file, "--json", json_path, "--junit", junit_path).exit_code == 0
    [entry] = json.loads(json_path.read_text())
    assert entry["ok"] is True
    assert {row["unit"] for row in entry["parity"][0]["rows"]} >= {"px", "degree", "probability"}
    suite = ET.parse(junit_path).getroot()[0]
    assert int(suite.get("tests", "0")) >= 3
    assert suite.get("failures") == "0"


def test_json_to_standard_output_is_json_alone(file: Path) -> None:
    assert json.loads(parity(file, "--json", "-").stdout)[0]["ok"] is True


def test_file_of_other_weights_is_status_1_with_unit_and_size(own_file: Path) -> None:
    result = parity(own_file, "--model", "atpn-lite", "--json", "-")
    assert result.exit_code == 1
    entry = json.loads(result.stdout)[0]
    assert entry["ok"] is False
    worst = next(row for row in entry["parity"][0]["rows"] if row["output"] == "landmarks")
    assert worst["error"] == pytest.approx(1e-3 * 112 * 2**0.5, rel=0.01)  # both axes moved
    # The layer that moved them is named, without being asked for.
    assert "alignment.head.linear alone costs 0.16 px" in " ".join(result.stderr.split())
    report = json.loads(own_file.with_name(own_file.name + ".bisect.json").read_text())
    assert report["layers"][0]["layer"] == "alignment.head.linear"


def test_file_of_a_users_weights_is_held_against_those(own_file: Path, own_weights: Path) -> None:
    assert parity(own_file, "--weights", own_weights).exit_code == 0


def test_file_of_unknown_weights_is_status_2_and_says_what_to_give(own_file: Path) -> None:
    result = parity(own_file)
    assert result.exit_code == 2
    assert "--weights FILE" in result.stderr


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_damaged_file_is_status_2_and_the_others_are_still_compared(
    file: Path, tmp_path: Path, damage: str
) -> None:
    broken = tmp_path / "broken.onnx"
    content = file.read_bytes()
    broken.write_bytes(
        {"truncated": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage]
    )
    good = shutil.copy(file, tmp_path / "good.onnx")
    result = parity(broken, good, "--json", "-")
    assert result.exit_code == 2
    entries = json.loads(result.stdout)
    assert [entry["ok"] for entry in entries] == [False, True]
    assert "broken.onnx" in result.stderr


def test_missing_file_is_status_2(tmp_path: Path) -> None:
    result = parity(tmp_path / "none.tflite")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
