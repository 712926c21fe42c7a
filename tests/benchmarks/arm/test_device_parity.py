"""Parity by what a device has computed: the same limits, and equal integers on equal kernels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_benchmarks import device_parity
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.device_parity import check_on
from atpn_benchmarks.progress import Silent
from atpn_benchmarks.results import Row
from atpn_deploy.golden import Golden, KernelGolden
from atpn_exporters.parity_run import ParityRequest, ParityResult

Outputs = dict[str, NDArray[np.float32]]

GOLDEN: Outputs = {
    "landmarks": np.linspace(0, 1, 4 * 98 * 2, dtype=np.float32).reshape(4, 98, 2),
    "pose": np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3),
    "confidence": np.linspace(0, 1, 4, dtype=np.float32).reshape(4, 1),
}


class Board:
    """Has computed these outputs, or says why not."""

    name = "qemu:cortex-a76"
    measures = "instructions"

    def __init__(self, outputs: Mapping[str, NDArray[np.float32]], failure: str = "") -> None:
        self._outputs, self._failure = outputs, failure

    def push(self, files: Mapping[str, Path]) -> None:
        assert "images.npy" in files

    def run(self, guest: Sequence[str], on_line: Callable[[str], None]) -> int:
        assert guest == ["guest.pyz", "outputs", "job.json"]
        events: list[dict[str, Any]] = [{"event": "begin", "machine": {}}]
        if self._failure:
            events += [{"event": "failed", "name": "a", "state": "failed", "reason": self._failure}]
        else:
            opened = {"runtime": "LiteRT 2.3.0", "kernel_family": "litert-xnnpack"}
            events += [
                {"event": "open", "name": "a", "threads": 1, **opened},
                {"event": "outputs", "name": "a", "file": "outputs-0.npz", "steps": {"pose": 0.01}},
            ]
        for event in events:
            on_line(json.dumps(event))
        return 0

    def pull(self, name: str, path: Path) -> None:
        np.savez(path, allow_pickle=False, **self._outputs)


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ParityResult]:
    """`check(target, board, recorded)` holds one file of that target, as one board computes it."""

    def run(target: str, board: Board, recorded: Outputs | None = None) -> ParityResult:
        path = tmp_path / "a.tflite"
        path.write_bytes(b"file")
        images = np.zeros((4, 112, 112, 3), np.uint8)
        golden = Golden(("face",) * 4, images, np.ones(4, bool), GOLDEN)
        row = Row("a", "a", target, "atpn-lite", "full", False, "not run", sha256="abc")
        candidate = Candidate(row, path, golden)
        kernel = KernelGolden("abc", recorded) if recorded is not None else None
        monkeypatch.setattr(device_parity, "ours", lambda files, request: [candidate])
        monkeypatch.setattr(device_parity, "load_kernel_golden", lambda sha256, family: kernel)
        monkeypatch.setattr(device_parity, "_computed_here", lambda *args: None)
        (result,) = check_on(board, [path], ParityRequest(), Silent())
        return result

    return run


def moved(name: str, by: float) -> Outputs:
    return {**GOLDEN, name: GOLDEN[name] + np.float32(by)}


def test_outputs_within_the_limits_are_ok_and_name_the_device(check) -> None:
    result = check("tflite-fp32", Board(GOLDEN))

    assert result.ok
    assert result.verifications[0].runtime == "LiteRT 2.3.0 on qemu:cortex-a76"


def test_one_pixel_is_too_much_for_a_float_file(check) -> None:
    result = check("tflite-fp32", Board(moved("landmarks", 0.01)))

    assert not result.ok
    assert result.exit_status == 1


def test_quantised_outputs_must_be_those_of_the_same_kernels_elsewhere(check) -> None:
    same = check("tflite-int8", Board(GOLDEN), recorded=GOLDEN)
    other = check("tflite-int8", Board(GOLDEN), recorded=moved("pose", 0.01))  # one step

    assert same.ok
    assert [row.output for row in other.verifications[0].kernel_rows if not row.ok] == ["pose"]
    assert not other.ok


def test_a_missing_output_is_not_compared(check) -> None:
    outputs = {name: array for name, array in GOLDEN.items() if name != "pose"}

    result = check("tflite-fp32", Board(outputs))

    assert result.error.startswith("the file computes landmarks, confidence; signature 'full'")
    assert result.exit_status == 2


def test_a_crash_there_is_told(check) -> None:
    result = check("tflite-fp32", Board({}, failure="crashed with SIGSEGV"))

    assert result.error == "on qemu:cortex-a76: crashed with SIGSEGV"
