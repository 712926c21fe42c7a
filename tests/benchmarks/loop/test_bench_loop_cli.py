"""atpn-bench loop as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from atpn_benchmarks.loop import command
from atpn_deploy.cli.bench import COMMANDS
from atpn_deploy.cli.bench_loop import app
from atpn_deploy.errors import AtpnError, ParityError
from atpn_deploy.parity import Row
from atpn_deploy.photo import write_photo
from atpn_exporters.parity_run import ParityResult
from atpn_exporters.verification import Verification

pytestmark = pytest.mark.needs("opencv", "skimage", "torch", "onnx", "onnxruntime", "onnxsim")


def loop(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-five frames of one face that moves by two pixels a frame."""
    import skimage

    folder = tmp_path_factory.mktemp("frames")
    photo = skimage.data.astronaut()[:300, 60:460]
    for k in range(25):
        write_photo(np.roll(photo, 2 * k, axis=1), folder / f"{k}.png")
    return folder


def test_a_file_is_timed_stage_by_stage(shipped_onnx: Path, video: Path, tmp_path: Path) -> None:
    written = tmp_path / "loop.json"

    made = loop(shipped_onnx, "--video", video, "--passes", "1", "--json", written)

    assert made.exit_code == 0, made.output
    assert "25 frames of" in made.stdout
    assert "400x300" in made.stdout
    facts = json.loads(written.read_text())
    (times,) = facts["files"]
    assert times["runtime"].startswith("ONNX Runtime")
    assert set(times["stages_cpu"]) == {"crop", "infer", "track", "filter"}
    stages = sum(spread["median_s"] for spread in times["stages_wall"].values())
    assert stages == pytest.approx(times["loop_wall"]["median_s"], rel=0.4)
    assert 0 < times["around_network"] < 1
    assert len(times["samples_s"]) == times["frames"] == 2 * (25 - 3)
    assert facts["machine"]["cpu"]


def test_a_file_that_is_damaged_leaves_the_others_timed(
    shipped_onnx: Path, video: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "cut.onnx"
    damaged.write_bytes(shipped_onnx.read_bytes()[:9000])

    made = loop(damaged, shipped_onnx, "--video", video, "--passes", "1", "--json", "-")

    assert made.exit_code == 2
    assert f"error: {damaged} is not timed: " in made.stderr
    facts = json.loads(made.stdout)
    assert [times["name"] for times in facts["files"]] == [shipped_onnx.name]
    assert len(facts["complaints"]) == 1


def test_nothing_to_time_is_an_error(video: Path, tmp_path: Path) -> None:
    made = loop(tmp_path / "none.onnx", "--video", video)

    assert isinstance(made.exception, AtpnError)
    assert "does not exist; expected a file written by atpn-export" in str(made.exception)


def test_a_file_that_misses_its_limits_is_not_timed(
    shipped_onnx: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row("landmarks", "max", "px", "all", 0.2, 0.1, "float32", 0)
    off = Verification("ONNX Runtime", "onnxruntime", (row,), (), varies=True)
    monkeypatch.setattr(command, "check", lambda path, request: ParityResult(path, (off,)))

    made = loop(shipped_onnx, "--video", video)

    assert isinstance(made.exception, ParityError)
    assert "is not timed: landmarks is off by 0.2 px" in str(made.exception)


def test_it_is_a_first_word_of_the_benchmark() -> None:
    assert COMMANDS["loop"] == "atpn_deploy.cli.bench_loop"
