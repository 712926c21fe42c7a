from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from atpn_deploy.cli.bench_operators import app, main

pytestmark = pytest.mark.needs("litert")


def test_json_on_standard_output_is_all_that_is_there(write_chain):
    path = write_chain(("TANH",))
    done = CliRunner().invoke(app, [str(path), "--rounds", "1", "--json", "-"])
    [found] = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [row["name"] for row in found["operators"]] == ["full/low/conv", "full/tanh/4"]
    assert "the whole run without a profiler" in done.stderr


def test_a_file_that_fails_is_named_and_the_others_go_on(write_chain, tmp_path):
    path = write_chain(("TANH",))
    files = [str(tmp_path / "none.tflite"), str(path)]
    done = CliRunner().invoke(app, [*files, "--rounds", "1", "--by", "operator", "--builtin"])
    assert done.exit_code == 2
    assert "none.tflite does not exist" in done.stderr
    assert "builtin kernels" in done.stdout
    assert "full/tanh/4" in done.stdout


def test_a_way_that_there_is_not(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["operators", "x.tflite", "--by", "layer"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--by takes module, kind, operator, not 'layer'" in capsys.readouterr().err
