"""The .onnx files of both networks: equal to PyTorch, reproducible, clean, of the stated scheme."""

from __future__ import annotations

import copy
import getpass
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.errors import CalibrationError, UnsupportedError
from atpn_deploy.parity import compare
from atpn_exporters.onnx_backend import (
    FP32_LIMITS,
    ONNX_DYNAMIC_INT8,
    ONNX_FP16,
    ONNX_FP32,
    ONNX_INT8,
)
from atpn_exporters.onnx_convert import float_model_path
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import ExportJob

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")

TARGETS = {t.name: t for t in (ONNX_FP32, ONNX_FP16, ONNX_DYNAMIC_INT8, ONNX_INT8)}
FACTS = {"target": "a test", "nested": {"numbers": [1, 2.5]}, "text": "größe"}
OPTIONS = SessionOptions()


def crops(count: int, seed: int = 7) -> NDArray[np.uint8]:
    """Random pictures with coarse and fine structure."""
    rng = np.random.default_rng(seed)
    layers = [
        rng.normal(0, 45, (count, side, side, 3)).repeat(112 // side, 1).repeat(112 // side, 2)
        for side in (2, 7, 28, 112)
    ]
    return np.clip(128 + np.sum(layers, 0), 0, 255).astype(np.uint8)


def calmed(model: ATPN) -> ATPN:
    """The network with batch norms fitted to `crops` and heads that move a point a few pixels.

    Else random layers amplify one rounding error until limits made for faces mean nothing.
    """
    import torch

    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    with torch.no_grad():
        for seed in (100, 101):
            model(torch.from_numpy(crops(16, seed)).float())
        for branch in (model.alignment, model.pose, model.tracking):
            branch.head.linear.weight *= 0.03
    return model.eval()


def job_for(model: ATPN, signature: str, workspace: Path) -> ExportJob:
    """A job with metadata and calibrated ranges."""
    bare = ExportJob(model, signature, FACTS, workspace)
    assert ONNX_INT8.observe is not None
    ranges = ONNX_INT8.observe(bare, crops(8))
    return ExportJob(model, signature, FACTS, workspace, {signature: ranges})


@pytest.fixture(scope="session")
def calm(reference: Callable[[str], ATPN]) -> Callable[[str], ATPN]:
    """`calm(config name)`: that network, random and well conditioned."""
    return cache(lambda name: calmed(reference(name)))


@pytest.fixture(scope="session")
def onnx_job(
    calm: Callable[[str], ATPN], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], ExportJob]:
    """`onnx_job(config name, signature)`, built once a session."""
    jobs: dict[tuple[str, str], ExportJob] = {}
    workspace = tmp_path_factory.mktemp("onnx-work")

    def build(name: str, signature: str) -> ExportJob:
        if (name, signature) not in jobs:
            jobs[name, signature] = job_for(calm(name), signature, workspace)
        return jobs[name, signature]

    return build


@pytest.fixture(scope="session")
def onnx_file(
    onnx_job: Callable[[str, str], ExportJob], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """`onnx_file(target name, config name, signature)`, exported once a session."""
    folder = tmp_path_factory.mktemp("onnx-files")

    def export(target: str, name: str = "atpn-lite", signature: str = "full") -> Path:
        path = folder / f"{name}-{signature}-{target}.onnx"
        if not path.exists():
            TARGETS[target].export(onnx_job(name, signature), path)
        return path

    return export


def run_all(path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    with ONNX_FP32.load(path, OPTIONS) as session:
        rows = [session.run({"image": image}) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
@pytest.mark.parametrize("signature", ["full", "align"])
def test_float_file_is_the_network(
    onnx_file: Callable[..., Path],
    calm: Callable[[str], ATPN],
    name: str,
    signature: str,
) -> None:
    from atpn_deploy.weights import predictor

    images = crops(6)
    actual = run_all(onnx_file("onnx-fp32", name, signature), images)
    expected = predictor(calm(name))(images)

    rows = compare(actual, expected, FP32_LIMITS, np.ones(len(images), bool))

    assert [row for row in rows if not row.ok] == []
    assert len(rows) == len(actual) == (3 if signature == "full" else 1)


@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
def test_halved_weights_stay_near_and_halve_the_file(
    onnx_file: Callable[..., Path], name: str
) -> None:
    whole, half = onnx_file("onnx-fp32", name), onnx_file("onnx-fp16", name)
    images = crops(4)
    expected, actual = run_all(whole, images), run_all(half, images)

    assert 112 * np.abs(actual["landmarks"] - expected["landmarks"]).max() < 0.05
    assert not np.array_equal(actual["landmarks"], expected["landmarks"])
    assert half.stat().st_size < 0.55 * whole.stat().st_size


@pytest.mark.parametrize("target", ["onnx-int8", "onnx-dynamic-int8"])
def test_int8_follows_the_float_file_and_is_small(
    onnx_file: Callable[..., Path], target: str
) -> None:
    whole, small = onnx_file("onnx-fp32"), onnx_file(target)
    images = crops(8)
    expected, actual = run_all(whole, images), run_all(small, images)
    moved = expected["landmarks"] - expected["landmarks"].mean(0)  # what the image decides
    error = actual["landmarks"] - expected["landmarks"]

    assert 0 < np.abs(error).mean() < 0.5 * np.abs(moved).mean()
    assert small.stat().st_size < 0.45 * whole.stat().st_size


@pytest.mark.parametrize("target", TARGETS)
def test_outputs_have_the_contracts_names_and_shapes(
    onnx_file: Callable[..., Path], target: str
) -> None:
    with TARGETS[target].load(onnx_file(target), OPTIONS) as session:
        outputs = session.run({"image": crops(1)})

    assert {name: array.shape for name, array in outputs.items()} == {
        spec.name: spec.shape for spec in OUTPUTS
    }
    assert {array.dtype for array in outputs.values()} == {np.dtype(np.float32)}
    assert session.output_names == tuple(spec.name for spec in OUTPUTS)


@pytest.mark.parametrize("target", TARGETS)
def test_bytes_are_equal_in_another_folder(
    onnx_file: Callable[..., Path],
    onnx_job: Callable[[str, str], ExportJob],
    tmp_path: Path,
    target: str,
) -> None:
    job = onnx_job("atpn-lite", "full")
    again = ExportJob(job.model, "full", FACTS, tmp_path, job.ranges)

    TARGETS[target].export(again, tmp_path / "another-name.onnx")

    assert (tmp_path / "another-name.onnx").read_bytes() == onnx_file(target).read_bytes()


def test_bytes_are_equal_in_another_process(
    onnx_file: Callable[..., Path],
    onnx_job: Callable[[str, str], ExportJob],
    tmp_path: Path,
) -> None:
    import json

    from atpn_deploy.weights import save_state

    job = onnx_job("atpn-lite", "full")
    save_state(job.model, tmp_path / "weights.safetensors")
    (tmp_path / "job.json").write_text(json.dumps([FACTS, job.ranges]))
    program = """
import json, pathlib
from atpn_deploy.weights import open_checkpoint
from atpn_exporters import onnx_backend as backend
from atpn_exporters.target import ExportJob
facts, ranges = json.loads(pathlib.Path("job.json").read_text())
model = open_checkpoint(pathlib.Path("weights.safetensors")).load()
job = ExportJob(model, "full", facts, pathlib.Path("."), ranges)
for t in (backend.ONNX_INT8, backend.ONNX_DYNAMIC_INT8, backend.ONNX_FP16, backend.ONNX_FP32):
    t.export(job, pathlib.Path(t.name))
"""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "99",
    }
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, env=environment, check=True
    )

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert {name: digest(tmp_path / name) for name in TARGETS} == {
        name: digest(onnx_file(name)) for name in TARGETS
    }


@pytest.mark.parametrize("target", TARGETS)
def test_file_names_neither_machine_nor_user(onnx_file: Callable[..., Path], target: str) -> None:
    import onnx

    path = onnx_file(target)
    content = path.read_bytes()
    model = onnx.load(path)
    folders = [Path.cwd(), Path.home(), path.parent, Path(onnx.__file__).parent]

    assert [f for f in folders if str(f).encode() in content] == []
    assert [
        w for w in (getpass.getuser(), socket.gethostname()) if f"/{w}/".encode() in content
    ] == []
    assert [p.key for p in model.metadata_props] == ["atpn"]
    assert model.producer_name == model.doc_string == model.graph.doc_string == ""
    assert [n.name for n in model.graph.node if n.doc_string or n.metadata_props] == []


@pytest.mark.parametrize("target", TARGETS)
def test_metadata_comes_back(onnx_file: Callable[..., Path], target: str) -> None:
    assert TARGETS[target].read_metadata(onnx_file(target)) == FACTS


@pytest.mark.parametrize("target", TARGETS)
def test_file_is_valid_onnx(onnx_file: Callable[..., Path], target: str) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(onnx_file(target)), full_check=True)


def test_facts_of_the_float_file(onnx_file: Callable[..., Path]) -> None:
    facts = ONNX_FP32.inspect(onnx_file("onnx-fp32", "atpn"))

    assert facts.scheme == "weights float32, activations float32"
    assert facts.transposes == 1
    assert facts.partitions is None
    assert facts.operators["HardSwish"] == facts.float_operators["HardSwish"] > 40


def test_fp16_scheme_says_what_stays_float(onnx_file: Callable[..., Path]) -> None:
    facts = ONNX_FP16.inspect(onnx_file("onnx-fp16"))

    assert facts.scheme == "weights float16, float32, activations float32"


def test_int8_file_leaves_only_the_ends_in_float(onnx_file: Callable[..., Path]) -> None:
    facts = ONNX_INT8.inspect(onnx_file("onnx-int8"))

    assert facts.scheme.startswith("weights int8 per channel")
    assert "activations uint8 (QDQ)" in facts.scheme
    assert not {"Relu", "Concat"} & set(facts.float_operators)
    assert facts.float_operators["Gemm"] == 3
    assert facts.float_operators["Conv"] == 3  # the depthwise heads
    # The mean shape and the heat map's two sums; pi, the heat map's two squares and its scale.
    assert (facts.float_operators["Add"], facts.float_operators["Mul"]) == (3, 4)
    assert facts.float_operators["ConvTranspose"] == 2


def test_int8_weights_have_a_scale_per_channel(onnx_file: Callable[..., Path]) -> None:
    import onnx

    model = onnx.load(onnx_file("onnx-int8"))
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    producer = {name: node for node in model.graph.node for name in node.output}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]

    heads = [conv for conv in convs if conv.name.endswith("/head/depthwise/Conv")]
    assert len(heads) == 3
    for conv in convs:
        if conv in heads:
            assert conv.input[1] in shapes  # float, as it is stored
            continue
        weight, scale = producer[conv.input[1]].input[:2]
        assert shapes[scale] == shapes[weight][:1]
        assert producer[conv.input[0]].op_type == "DequantizeLinear"
    assert len(convs) == 78


def test_image_enters_the_int8_file_without_loss(onnx_file: Callable[..., Path]) -> None:
    import onnx

    model = onnx.load(onnx_file("onnx-int8"))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    first = next(node for node in model.graph.node if "image" in node.input)

    assert first.op_type == "QuantizeLinear"
    assert [values[name].item() for name in first.input[1:]] == [1.0, 0]


def test_both_is_no_onnx_signature(reference: Callable[[str], ATPN], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="align or full"):
        float_model_path(ExportJob(reference("atpn-lite"), "both", {}, tmp_path))


def test_int8_without_ranges_is_refused(
    onnx_job: Callable[[str, str], ExportJob], tmp_path: Path
) -> None:
    job = onnx_job("atpn-lite", "full")

    with pytest.raises(CalibrationError, match="--calibration"):
        ONNX_INT8.export(ExportJob(job.model, "full", {}, job.workspace), tmp_path / "x.onnx")


def test_ranges_of_another_network_are_refused(
    onnx_job: Callable[[str, str], ExportJob], tmp_path: Path
) -> None:
    lite, full = onnx_job("atpn-lite", "full"), onnx_job("atpn", "full")
    foreign = ExportJob(full.model, "full", {}, full.workspace, lite.ranges)

    with pytest.raises(CalibrationError, match="another network"):
        ONNX_INT8.export(foreign, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
