"""atpn-bench as it is typed: real files on this machine, and requests that make no sense."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from atpn_benchmarks.history import History
from atpn_benchmarks.results_file import read_run
from atpn_deploy.cli import bench as command
from atpn_deploy.cli.bench import COMMANDS, app

NEEDS = ("torch", "onnx", "onnxruntime", "onnxsim")
FEW = ("--samples", "10", "--seconds", "0.02", "--quick", "--no-peaks")


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATPN_BENCH_HISTORY", str(tmp_path / "history.sqlite"))


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(shipped_onnx: Path, tmp_path: Path) -> Path:
    """A folder with a file that is right and one that is cut off."""
    folder = tmp_path / "exported"
    folder.mkdir()
    shutil.copy(shipped_onnx, folder / "right.onnx")
    (folder / "cut.onnx").write_bytes(shipped_onnx.read_bytes()[:9000])
    return folder


@pytest.mark.needs(*NEEDS)
def test_a_run_is_timed_kept_and_written_in_every_form(files: Path, tmp_path: Path) -> None:
    peers = tmp_path / "peers"
    peers.mkdir()
    shutil.copy(files / "right.onnx", peers / "other.onnx")
    (peers / "other.bench.json").write_text('{"title": "Other net"}')
    written = {name: tmp_path / f"out.{name}" for name in ("html", "json", "md")}

    made = bench(
        files / "right.onnx",
        *("--peers", peers, *FEW),
        *("--report", written["html"], "--json", written["json"], "--markdown", written["md"]),
    )

    assert made.exit_code == 0, made.output
    run = read_run(written["json"])
    ours, peer = run.rows
    assert (ours.name, ours.model, ours.peer) == ("right.onnx", "atpn-lite", False)
    assert (peer.title, peer.peer, peer.drift) == ("Other net ONNX", True, ())
    assert {drift.output for drift in ours.drift} == {"landmarks", "pose", "confidence"}
    assert ours.cost is not None
    assert ours.cost.macs == pytest.approx(93e6, rel=0.01)
    timing = ours.timing(1)
    assert timing is not None
    assert len(timing.wall_s) >= 10
    # One file under two names takes as long as itself; half again would be a broken clock.
    other = peer.timing(1)
    assert other is not None
    assert timing.summary is not None
    assert other.summary is not None
    assert other.summary.p50_s == pytest.approx(timing.summary.p50_s, rel=0.5)
    assert History().load("last").id == run.id
    assert "Other net" in written["md"].read_text()
    assert "right.onnx" in written["html"].read_text()


@pytest.mark.needs(*NEEDS)
def test_a_file_that_fails_is_listed_and_the_others_are_timed(files: Path) -> None:
    made = bench(*FEW, files / "cut.onnx", files / "right.onnx", files / "none.onnx")
    assert made.exit_code == 2
    assert "error: cut.onnx on local: failed: " in made.stderr
    assert "error: none.onnx on local: failed: " in made.stderr
    run = History().load("last")
    assert [row.state == "failed" for row in run.rows] == [True, False, True]
    assert run.rows[1].timings


@pytest.mark.needs(*NEEDS)
def test_a_file_that_is_off_its_reference_is_not_timed(files: Path, own_weights: Path) -> None:
    made = bench(*FEW, files / "right.onnx", "--weights", own_weights)
    assert made.exit_code == 1
    assert "error: right.onnx on local: not timed: landmarks is off by" in made.stderr
    assert "px" in made.stderr
    assert History().load("last").rows[0].timings == ()


@pytest.mark.needs(*NEEDS)
def test_a_place_that_cannot_be_written_costs_the_others_nothing(
    files: Path, tmp_path: Path
) -> None:
    (tmp_path / "history.sqlite").write_text("no history")
    (tmp_path / "taken").write_text("a file, no folder")
    result = tmp_path / "new" / "out.json"
    made = bench(
        *(files / "right.onnx", *FEW, "--json", result),
        *("--report", tmp_path / "taken" / "out.html"),
    )
    assert made.exit_code == 2
    assert "history.sqlite is damaged" in made.stderr
    assert "out.html" in made.stderr
    assert read_run(result).rows[0].timings


@pytest.mark.needs(*NEEDS)
def test_every_registered_target_has_a_row(files: Path) -> None:
    (files / "cut.onnx").unlink()
    made = bench(*FEW, "--exported", files)
    assert made.exit_code == 0, made.output
    rows = {row.target: row for row in History().load("last").rows}
    assert "never exported: atpn-export --format all" in rows["tflite-int8"].reason
    assert rows["onnx-fp32"].timings


def test_an_empty_folder_says_what_to_type(tmp_path: Path) -> None:
    made = bench("--exported", tmp_path)
    assert made.exit_code != 0
    assert "holds no exported file; make some with atpn-export" in str(made.exception)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--threads", "1,two"), "--threads '1,two' came; expected numbers from 1"),
        (("--threads", "0"), "--threads '0' came"),
        (("--cores", "-1"), "--cores '-1' came; expected numbers from 0"),
        (("--fail-if-slower", "5%"), "add --baseline RUN"),
        (("--baseline", "x", "--device", "local", "--device", "ssh:b"), "give one --device"),
        (("--device", "carrier-pigeon"), "no device 'carrier-pigeon': expected local"),
        (("--peers", "no-such-folder"), "no-such-folder holds no peer"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_line(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    made = bench(*arguments, tmp_path / "a.onnx")
    assert made.exit_code != 0
    assert complaint in str(made.exception)
    assert "\n" not in str(made.exception)


@pytest.mark.parametrize("first", list(COMMANDS))
def test_a_command_of_its_own_gets_its_words(
    first: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["atpn-bench", first, "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    assert sys.argv == [f"atpn-bench {first}", "--help"]
    told = capsys.readouterr().out
    assert "Usage: " in told
    assert "--peers" not in told
