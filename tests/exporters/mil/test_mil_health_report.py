"""The command that looks at every value of a Core ML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from atpn_deploy.cli.values import app, main
from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.health_report import health_report

CROPS = np.full((2, 112, 112, 3), 200, np.uint8)


def squared(writer: Any, shape: tuple[int, ...] = (1, 3, 112, 112)) -> Path:
    """image -> cast -> doubled (400) -> squared (160,000, more than float16 holds)."""
    writer.input("image", shape)
    writer.const("fp16", "fp16")
    writer.operation("cast", "half", {"x": "image", "dtype": "fp16"}, "float16", shape)
    writer.operation("add", "twice", {"x": "half", "y": "half"}, "float16", shape)
    writer.operation("square", "much", {"x": "twice"}, "float16", shape)
    writer.output("much")
    path: Path = writer.save()
    return path


def test_the_values_of_a_file(writer: Any) -> None:
    report = health_report(squared(writer), CROPS, None, "declared")

    assert (report.function, report.crops) == ("main", 2)
    assert [value.value for value in report.values] == ["half", "twice", "much"]
    assert [value.largest for value in report.values] == [200, 400, 160000]
    assert [value.value for value in report.broken] == ["much"]
    assert report.broken[0].infinite == 2 * 3 * 112 * 112
    assert [value.value for value in report.worst(2)] == ["much", "twice"]


def test_nothing_overflows_in_float32(writer: Any) -> None:
    assert health_report(squared(writer), CROPS, None, "fp32").broken == ()


def test_a_foreign_program_is_refused(writer: Any) -> None:
    path = squared(writer, (1, 112, 112, 3))

    with pytest.raises(ArtifactError, match=r"expected image \(1, 3, 112, 112\)"):
        health_report(path, CROPS, None, "declared")


def test_the_command_fails_on_infinity_and_says_where(writer: Any, tmp_path: Path) -> None:
    path, written = squared(writer), tmp_path / "values.json"

    result = CliRunner().invoke(app, [str(path), "--json", str(written)])

    assert result.exit_code == 1
    assert "much (square)" in result.output
    rows = json.loads(written.read_text())["values"]
    assert [row["value"] for row in rows] == ["half", "twice", "much"]
    assert rows[2]["infinite"] > 0


def test_the_command_succeeds_where_every_value_is_a_number(writer: Any) -> None:
    result = CliRunner().invoke(app, [str(squared(writer)), "--precision", "fp32", "--json", "-"])

    assert result.exit_code == 0
    assert '"precision": "fp32"' in result.stdout


def test_a_missing_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["values", str(tmp_path / "absent.mlpackage")])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
