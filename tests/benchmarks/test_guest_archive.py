"""The archive that goes to a device: complete, the same each time, content with an old Python."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest_archive import guest_modules, write_guest
from atpn_benchmarks.heard import Heard
from atpn_deploy.golden import load_golden
from atpn_deploy.weights import shipped

#: What a board has beside Python's own modules, and what these import.
WHEELS = ("numpy", "numpy.libs", "onnxruntime", "flatbuffers", "google", "packaging")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guest") / "guest.pyz"
    write_guest(path)
    return path


def board(archive: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the archive with NumPy and ONNX Runtime at hand and no other package of this machine."""
    wheels = folder / "wheels"
    wheels.mkdir(exist_ok=True)
    spec = find_spec("numpy")
    if spec is None or spec.origin is None:
        raise ValueError("no NumPy")
    site = Path(spec.origin).parents[1]
    for name in WHEELS:
        if (site / name).exists() and not (wheels / name).exists():
            (wheels / name).symlink_to(site / name)
    return subprocess.run(
        [sys.executable, "-S", str(archive), *arguments],
        env={"PYTHONPATH": str(wheels), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_archive_is_the_same_each_time(archive: Path, tmp_path: Path) -> None:
    write_guest(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == archive.read_bytes()


def test_it_stays_small_and_holds_no_training(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    assert archive.stat().st_size < 500_000
    assert "atpn_benchmarks/guest/worker.py" in names
    assert "atpn_exporters/tflite_session.py" in names
    assert not [name for name in names if "training" in name or "cli" in name.split("/")]


@pytest.mark.parametrize("module", guest_modules(), ids=lambda path: path.stem)
def test_a_module_that_travels_is_read_by_python_3_10(module: Path) -> None:
    """And takes nothing from the standard library at import that came with 3.11."""
    tree = ast.parse(module.read_text(), feature_version=(3, 10))
    newer = {("typing", "Self"), ("enum", "StrEnum"), ("datetime", "UTC"), ("tomllib", "")}
    for node in tree.body:  # what stands under TYPE_CHECKING or in a function is not imported
        if isinstance(node, ast.ImportFrom):
            assert not {(node.module, alias.name) for alias in node.names} & newer
        elif isinstance(node, ast.Import):
            assert not {(alias.name, "") for alias in node.names} & newer


def test_without_a_known_command_it_says_what_is_expected(archive: Path, tmp_path: Path) -> None:
    made = board(archive, tmp_path, "dance")
    assert made.returncode == 2
    assert "'dance' came; expected conduct, count, outputs, worker, facts or vectors" in made.stderr


def test_facts_of_the_machine_need_no_package(archive: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-I", "-S", str(archive), "facts"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    machine = json.loads(made.stdout)["machine"]
    assert machine["cores"] >= 1
    assert machine["python"] == sys.version.split()[0]


def test_the_vectors_of_crop_and_tracker_need_numpy_alone(archive: Path, tmp_path: Path) -> None:
    made = board(archive, tmp_path, "vectors")

    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["mismatches"] == []
    assert set(told["cases"]) == {"crop", "tracking", "smoothing"}
    assert all(len(sha256) == 64 for sha256 in told["crops"].values())
    assert len(told["crops"]) == told["cases"]["crop"] > 0


@pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")
def test_a_board_needs_python_numpy_and_a_runtime(
    archive: Path, shipped_onnx: Path, tmp_path: Path
) -> None:
    golden = load_golden(shipped("atpn-lite").sha256)
    shutil.copy(shipped_onnx, tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(shipped_onnx.read_bytes()[:5000])
    np.save(tmp_path / "images.npy", golden.images)
    np.savez(tmp_path / "expected.npz", **golden.outputs)
    wrong = {**golden.outputs, "pose": golden.outputs["pose"] + 0.01}
    np.savez(tmp_path / "wrong.npz", **wrong)
    job = Job(
        (
            Entry("right", "a.onnx", "onnx-fp32", expected="expected.npz"),
            Entry("wrong", "a.onnx", "onnx-fp32", expected="wrong.npz"),
            Entry("damaged", "b.onnx", "onnx-fp32", expected="expected.npz"),
        ),
        samples=10,
        seconds=0.01,
        rounds=2,
        images="images.npy",
        faces=tuple(map(bool, golden.faces)),
    )
    job.save(tmp_path / "job.json")

    made = board(archive, tmp_path, "conduct", str(tmp_path / "job.json"))

    assert made.returncode == 0, made.stderr
    heard = Heard()
    for line in made.stdout.splitlines():
        heard.line(line)
    assert heard.drift["right"]["complaint"] == ""
    assert "pose is off by 0.57" in heard.drift["wrong"]["complaint"]
    assert "truncated" in heard.failed["damaged"]["reason"]
    assert set(heard.samples) == {("right", 1)}
    assert len(heard.samples["right", 1].wall_ns) >= 10
    assert heard.opened["right", 1]["runtime"].startswith("ONNX Runtime")
    assert heard.memory["right", 1]["peak_bytes"] > heard.opened["right", 1]["idle_bytes"] > 0
