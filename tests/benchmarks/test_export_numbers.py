from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks import export_numbers
from atpn_benchmarks.export_numbers import machine, run_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PYTHON = Path(sys.executable).name


def test_memory_of_children_is_counted() -> None:
    child = "b = bytearray(200 << 20); import time; time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = run_command([PYTHON, "-c", parent])
    assert 200 < found["peak_resident_mb"] < 400
    assert found["wall_s"] > 1


def test_failing_command_is_not_a_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended with 3: because"):
        run_command([PYTHON, "-c", "import sys; print('because', file=sys.stderr); sys.exit(3)"])


def test_machine_is_named() -> None:
    assert machine()["cores"] >= 1
    assert machine()["cpu"]


@pytest.mark.needs("torch", "litert")
def test_drift_of_a_float_file_is_nothing(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atpn_deploy.datasets import packs
    from atpn_deploy.weights import shipped
    from atpn_exporters.pipeline import export
    from atpn_exporters.planning import ExportPlan
    from atpn_exporters.progress import Silent
    from atpn_exporters.registry import select

    faces = packs.wflw_dev(shared_data)
    few = faces.where(np.arange(len(faces)) < 10)
    monkeypatch.setattr(packs, "wflw_dev", lambda data: few)
    plan = ExportPlan(shipped("atpn-lite"), select("onnx", "fp32"), tmp_path)
    path = export(plan, Silent()).reports[0].path
    found = export_numbers.drift(path, shared_data)
    assert found["landmark_drift_px"] < 1e-4
    assert found["nme_rise_percent"] == pytest.approx(0, abs=1e-3)
    assert 1 < found["nme_percent_file"] < 20
