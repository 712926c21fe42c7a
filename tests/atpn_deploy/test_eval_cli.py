"""atpn-eval, on a WFLW folder of three faces in the official layout."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atpn_deploy.config import ATPN_LITE_CONFIG, ATPNConfig

pytestmark = pytest.mark.needs("torch", "opencv", "matplotlib")

LIST = "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three faces on three images; the second has the attribute pose."""
    import cv2

    rng = np.random.default_rng(4)
    images = tmp_path / "data" / "WFLW" / "WFLW_images"
    images.mkdir(parents=True)
    lines = []
    for number in range(3):
        cv2.imwrite(str(images / f"{number}.png"), rng.integers(0, 256, (150, 150, 3), np.uint8))
        points = rng.uniform(40, 110, 196).round(2)
        attributes = (int(number == 1), 0, 0, 0, 0, 0)
        lines.append(" ".join(map(str, (*points, 40, 40, 110, 110, *attributes, f"{number}.png"))))
    path = tmp_path / "data" / LIST
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def checkpoint(tmp_path: Path, reference: Callable[[str | ATPNConfig], Any]) -> Path:
    from atpn_deploy.weights import save_state

    path = tmp_path / "mine.safetensors"
    save_state(reference(ATPN_LITE_CONFIG), path)
    return path


class Session:
    """An open file that sees the middle of the crop in every point."""

    runtime = "stub 2"
    output_names = ("landmarks",)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert feeds["image"].shape == (1, 112, 112, 3)
        return {"landmarks": np.full((1, 98, 2), 0.5, np.float32)}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that computes landmarks alone."""
    monkeypatch.setattr("atpn_exporters.opening.open_file", lambda path, options: Session())
    path = tmp_path / "mine-int8.tflite"
    path.write_bytes(b"landmarks")
    return path


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: status, standard output and error."""
    from atpn_deploy.cli.eval import main

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atpn-eval", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return command


def test_a_checkpoint_and_a_file_stand_side_by_side(
    run: Any, data: Path, checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    status, out, err = run(checkpoint, exported, "--data", data, "--output", tmp_path / "out")

    assert status == 0
    assert "mine.safetensors" in out
    assert "mine-int8.tflite minus mine.safetensors" in " ".join(out.split())
    assert "alignment: WFLW test, 3" in err
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    whole, file = written["evaluations"]
    assert (whole["runtime"].split()[0], file["runtime"]) == ("torch", "stub 2")
    subsets = file["alignment"][0]["subsets"]
    assert {name: figures["faces"] for name, figures in subsets.items()} == {
        "testset": 3,
        "pose": 1,
    }


def test_a_file_of_another_checkpoint_is_said_to_be(
    run: Any, data: Path, checkpoint: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atpn_deploy.cli import eval as command

    monkeypatch.setattr(command, "_made_from", lambda path: "f" * 64)
    status, _, err = run(checkpoint, exported, "--data", data)
    assert status == 0
    assert "mine-int8.tflite was exported from another checkpoint (ffffffffffff...)" in err


def test_landmarks_in_the_middle_have_the_error_worked_out_by_hand(
    run: Any, data: Path, exported: Path, tmp_path: Path
) -> None:
    run(exported, "--data", data, "--output", tmp_path / "out")
    line = (data / LIST).read_text().splitlines()[0].split()
    points = np.array(line[:196], float).reshape(98, 2)
    middle = (points.min(0) + points.max(0)) / 2
    eyes = np.linalg.norm(points[60] - points[72])
    expected = np.linalg.norm(points - middle, axis=1).mean() / eyes

    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    (result,) = written["evaluations"][0]["alignment"]
    assert result["errors"][0] == pytest.approx(expected, rel=1e-4)


def test_a_task_that_a_file_cannot_do_is_said(
    run: Any, data: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atpn_deploy.evaluation import sources
    from atpn_deploy.evaluation.trials import Trial

    both = [*sources.trials_in(data), Trial("pose", "none", 1, lambda networks, advance: [])]
    monkeypatch.setattr(sources, "trials_in", lambda data, tasks: both)
    status, _, err = run(exported, "--data", data)
    assert status == 0
    assert "mine-int8.tflite computes only landmarks: not measured for pose" in err


def test_a_damaged_image_stops_the_run_by_name_and_leaves_no_output(
    run: Any, data: Path, exported: Path, tmp_path: Path
) -> None:
    (data / "WFLW" / "WFLW_images" / "1.png").write_bytes(b"no image")
    status, _, err = run(exported, "--data", data, "--output", tmp_path / "out")
    assert status == 2
    assert "1.png" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "--data nowhere is not a folder"),
        (["--data", ".", "--model", "atpn-9"], "no model is called 'atpn-9'"),
        (["--data", ".", "--tasks", "alignment,poses"], "--tasks got 'poses'; choose of alignment"),
        (["--data", ".", "--tasks", ""], "--tasks got nothing"),
        (["no.onnx", "--data", "."], "no.onnx does not exist"),
        (["no.safetensors", "--data", "."], "no.safetensors does not exist"),
        (["notes.txt", "--data", "."], "expected .safetensors, "),
    ],
)
def test_mistakes_are_one_line(
    run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_without_data_says_what_was_looked_for(
    run: Any, tmp_path: Path, exported: Path
) -> None:
    (tmp_path / "empty").mkdir()
    status, _, err = run(exported, "--data", tmp_path / "empty")
    assert status == 2
    assert "nothing to measure alignment, pose, tracking, video on" in err
    assert "WFLW" in err


def test_a_task_that_is_asked_for_needs_its_data(run: Any, data: Path, exported: Path) -> None:
    status, _, err = run(exported, "--data", data, "--tasks", "alignment,pose")
    assert status == 2
    assert "nothing to measure pose on; looked for 300W_LP; AFLW2000" in err


def test_a_damaged_file_is_refused(run: Any, data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 30)
    status, _, err = run(tmp_path / "bad.safetensors", "--data", data)
    assert status == 2
    assert "bad.safetensors" in err


def test_help_is_quick() -> None:
    best = min(seconds_of("from atpn_deploy.cli.eval import main; main()") for _ in range(3))
    assert best < 0.5


def seconds_of(program: str) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['atpn-eval', '--help']; {program}"],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    return time.perf_counter() - started


@pytest.mark.parametrize(
    ("module", "message"),
    [("torch", "a checkpoint needs PyTorch: pip install"), ("cv2", "reading images needs OpenCV")],
)
def test_a_missing_tool_is_named_with_what_to_type(
    run: Any, data: Path, monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    from atpn_deploy.cli import eval as command

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == module else object())
    status, _, err = run("--data", data)
    assert status == 2
    assert message in err
    assert "atpn-deploy[eval]" in err
