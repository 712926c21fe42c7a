"""Figures of the core that runs the tests, and the files that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks.guest import peaks
from atpn_benchmarks.guest.peaks import best_s, cache_bytes, measure_peaks
from atpn_benchmarks.peak_files import SHAPES, peak_files
from atpn_benchmarks.results import Peaks

pytestmark = pytest.mark.needs("litert", "onnx", "onnxruntime")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, ...]:
    return peak_files(tmp_path_factory.mktemp("peaks"))


def test_there_is_a_file_for_every_shape_kind_and_runtime(files):
    assert len({path.name for path in files}) == len(SHAPES) * 2 * 2
    assert sum(path.stat().st_size for path in files) < 2 * 2**20


def test_the_multiply_adds_in_a_name_are_those_of_its_graph(files):
    from atpn_benchmarks.counting.files import cost_of

    for path in files:
        cost = cost_of(path)
        assert path.stem.endswith(f"-{cost.macs}")
        assert cost.int8_macs == (cost.macs if "int8" in path.name else 0)


def test_int8_files_compute_what_they_say(files):
    """Both runtimes round the same sums: no scale or zero point is off."""
    from ai_edge_litert.interpreter import Interpreter

    from atpn_deploy.onnx_runtime import open_session

    tflite, onnx = (
        next(f for f in files if "int8-28x64x3" in f.name and f.suffix == suffix)
        for suffix in (".tflite", ".onnx")
    )
    image = np.random.default_rng(1).integers(-20, 20, (1, 28, 28, 64)).astype(np.int8)
    interpreter = Interpreter(str(tflite))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    one = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(int)
    shifted = np.moveaxis(image.astype(np.int16) + 128, -1, 1).astype(np.uint8)
    [two] = open_session(onnx.read_bytes(), 1).run(None, {"image": shifted})
    other = np.moveaxis(two.astype(int), 1, -1) - 128
    assert np.abs(one - other).max() <= 1
    assert one.std() > 3


def test_figures_are_sane_beside_each_other(files, monkeypatch):
    monkeypatch.setattr(peaks, "SECONDS", 0.03)
    found = Peaks(**measure_peaks(files))
    assert found.fp32_macs_per_s > 1e9
    assert 1 <= found.int8_macs_per_s / found.fp32_macs_per_s < 20
    assert found.cache_bytes_per_s > found.memory_bytes_per_s > 1e8
    assert set(found.how) == {
        "fp32_macs_per_s",
        "int8_macs_per_s",
        "cache_bytes_per_s",
        "memory_bytes_per_s",
    }


def test_a_file_that_does_not_open_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(peaks, "SECONDS", 0.001)
    monkeypatch.setattr(peaks, "LARGEST", 2**20)
    broken = tmp_path / "peak-int8-1x1x1-1.tflite"
    broken.write_bytes(b"no file")
    found = measure_peaks([str(broken)])
    assert found["int8_macs_per_s"] is None
    assert "int8_macs_per_s" not in found["how"]
    assert found["fp32_macs_per_s"] > 0


def test_the_best_call_counts_and_the_first_does_not():
    now = 0.0
    takes = iter([0.5, 5.0, 1.0, 4.0, 9.0, 3.0])

    def step() -> None:
        nonlocal now
        now += next(takes)

    assert best_s(step, lambda: now) == 1.0
    assert next(takes, None) is None


def test_caches_are_read_where_linux_tells_of_them(tmp_path):
    for index, (level, size) in enumerate((("1", "32K"), ("2", "512K"), ("3", "4096K"))):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "level").write_text(level + "\n")
        (folder / "size").write_text(size + "\n")
    assert cache_bytes(tmp_path) == (512 * 1024, 4 * 2**20)
    assert cache_bytes(tmp_path / "none") == (0, 0)
