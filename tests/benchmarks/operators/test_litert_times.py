"""LiteRT's profiler on files whose operators are known."""

from __future__ import annotations

import pytest

from atpn_benchmarks.operators import litert_times
from atpn_benchmarks.operators.delegation import delegation_of
from atpn_benchmarks.operators.timing import profile, time_operators
from atpn_deploy.errors import ArtifactError, UnsupportedError

pytestmark = pytest.mark.needs("litert")

#: LOG_SOFTMAX is not XNNPACK's.
CHAIN = ("TANH", "LOG_SOFTMAX", "LOGISTIC", "SQRT")
MACS = 28 * 28 * 128 * 128


def test_what_xnnpack_takes_is_timed_operator_by_operator(write_chain):
    path = write_chain(CHAIN)
    found = profile(path, rounds=4)
    assert [(o.kind.split(" (")[0], o.delegated) for o in found.operators] == [
        ("Fully Connected", True),
        ("TanH", True),
        ("LOG_SOFTMAX", False),
        ("Sigmoid", True),
        ("Square Root", True),
    ]
    assert [o.name for o in found.operators][:2] == ["full/low/conv", "full/tanh/4"]
    assert [o.macs for o in found.operators] == [MACS, 0, 0, 0, 0]
    assert found.operators[0].module == "low.conv"
    assert found.delegation == delegation_of(path)
    assert found.delegation.partitions == 2
    assert found.delegation.undelegated == {"LOG_SOFTMAX": 1}
    assert found.runs == 20
    assert all(o.median_s > 0 for o in found.operators)


def test_operators_explain_the_whole_run(write_chain):
    found = profile(write_chain(("TANH",) * 4), rounds=10)
    assert found.sum_to_whole == pytest.approx(1, abs=0.5)


def test_without_xnnpack_every_operator_is_the_files_own(write_chain):
    found = profile(write_chain(CHAIN), rounds=2, kernels="builtin")
    assert [o.kind for o in found.operators] == ["CONV_2D", *CHAIN]
    assert not any(o.delegated for o in found.operators)
    assert found.delegation.partitions == 0


def test_time_operators_gives_the_rows_alone(write_chain):
    rows = time_operators(write_chain(("TANH",)), "full", rounds=1)
    assert [row.kind.split(" (")[0] for row in rows] == ["Fully Connected", "TanH"]


def test_a_library_that_crashes_ends_its_own_process_only(write_chain, monkeypatch, tmp_path):
    # A module of that name that kills itself stands in for a library of another layout.
    folder = tmp_path / "crash"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import os; os.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    with pytest.raises(ArtifactError, match=r"chain\.tflite: .* was ended by signal 11"):
        profile(write_chain(()), rounds=1)


def test_one_that_takes_too_long_is_ended(write_chain, monkeypatch):
    monkeypatch.setattr(litert_times, "PATIENCE_S", 0.01)
    with pytest.raises(ArtifactError, match="fewer --rounds"):
        profile(write_chain(()), rounds=1)


def test_a_signature_that_is_not_there(write_chain):
    with pytest.raises(ArtifactError, match="no signature 'align'"):
        profile(write_chain(()), "align")


@pytest.mark.parametrize(
    ("name", "kernels", "error"),
    [
        ("chain.pte", None, "expected .tflite or .onnx"),
        ("chain.onnx", "xnnpack", "choose onnxruntime"),
    ],
)
def test_a_runtime_that_tells_nothing(tmp_path, name, kernels, error):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnsupportedError, match=error):
        profile(tmp_path / name, kernels=kernels)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        profile(tmp_path / "none.tflite")
