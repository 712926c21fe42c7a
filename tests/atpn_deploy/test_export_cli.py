from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atpn_exporters.registry import TARGETS

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")

#: A background job of a shell ignores Ctrl-C, and so would everything that it starts.
ATTENTIVE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
COMMAND = (sys.executable, "-c", f"{ATTENTIVE}; from atpn_deploy.cli.export import main; main()")


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run(*arguments: str) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_list_names_every_target() -> None:
    status, out, _ = run("--list")
    assert status == 0
    words = out.split()
    assert all(target.quantization in words for target in TARGETS.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "caffe"), "no format is called 'caffe'"),
        (("--quantize", "int3"), "tflite has no quantisation 'int3'"),
        (
            ("--model", "atpn-heavy"),
            "no model is called 'atpn-heavy'; choose one of atpn-lite, atpn",
        ),
        (("--signature", "half"), "no signature is called 'half'"),
        (("--weights", "nothing.safetensors"), "nothing.safetensors does not exist"),
        (("--recipe", "nothing.json"), "nothing.json does not exist"),
        (("--recipe", "auto", "--quantize", "fp32"), "tflite-fp32 takes no recipe"),
        (("--recipe", "auto", "--lint"), "--lint exports nothing and --recipe exports"),
    ],
)
def test_wrong_request_is_one_line_and_status_2(arguments: tuple[str, ...], said: str) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


def test_empty_calibration_folder_is_one_line_and_leaves_nothing(
    tmp_path: Path, own_weights: Path
) -> None:
    crops, out_folder = tmp_path / "crops", tmp_path / "out"
    crops.mkdir()
    status, _, err = run(
        *("--format", "onnx", "--weights", str(own_weights), "--calibration", str(crops)),
        *("--output", str(out_folder)),
    )
    assert status == 2
    assert str(crops) in err
    assert not out_folder.exists()


def test_lint_alone_says_what_hurts_and_exports_nothing(tmp_path: Path, own_weights: Path) -> None:
    status, out, err = run(
        *("--lint", "--format", "onnx", "--quantize", "int8", "--weights", str(own_weights)),
        *("--signature", "align", "--output", str(tmp_path)),
    )
    assert (status, "error" in err) == (0, False)
    assert "onnx-int8" in out
    assert "Q003 no int8 kernel" in out  # the deconvolutions of the neck
    assert [path.name for path in tmp_path.iterdir()] == ["atpn-lite.lint.json"]
    findings = json.loads((tmp_path / "atpn-lite.lint.json").read_text())["onnx-int8"]
    [lacking] = [finding for finding in findings if finding["rule"] == "Q003"]
    assert "alignment.neck.up_low" in [spot["module"] for spot in lacking["spots"]]


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path, own_weights: Path) -> None:
    folder = tmp_path / "out"
    process = start(
        *("--format", "onnx", "--quantize", "fp32", "--weights", str(own_weights)),
        *("--output", str(folder)),
    )
    deadline = time.monotonic() + 60
    while not any(folder.glob(".atpn-export-*/*/request.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert not folder.exists()
