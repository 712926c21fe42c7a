"""Real files of every format: the same multiply-adds as PyTorch, module by module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from atpn_benchmarks.counting.files import cost_of, counted_operators
from atpn_benchmarks.counting.module_sums import by_module
from atpn_benchmarks.counting.network import NetworkCount, count_network
from atpn_deploy.config import ATPN_CONFIG, ATPN_LITE_CONFIG
from atpn_deploy.errors import ArtifactError
from atpn_deploy.weights import shipped
from atpn_exporters.target import ExportJob

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch", "fvcore")

FACTS = {"model": "atpn-lite"}


@pytest.fixture(scope="module")
def lite() -> NetworkCount:
    return count_network(ATPN_LITE_CONFIG)


@pytest.fixture(scope="module")
def tflite(tflite_workspace: Path) -> Path:
    from atpn_exporters.tflite_backend import TFLITE_FP32

    path = tflite_workspace / "counted.tflite"
    job = ExportJob(shipped("atpn-lite").load(), "both", FACTS, tflite_workspace)
    TFLITE_FP32.export(job, path)
    return path


@pytest.fixture(scope="module")
def ncnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from atpn_exporters.ncnn_backend import NCNN_FP16

    folder = tmp_path_factory.mktemp("counted")
    job = ExportJob(shipped("atpn-lite").load(), "both", FACTS, folder)
    NCNN_FP16.export(job, folder / "counted.ncnn")
    return folder / "counted.ncnn"


@pytest.fixture(scope="module")
def coreml(coreml_workspace: Path) -> Path:
    from atpn_exporters.coreml_backend import COREML_FP16

    path = coreml_workspace / "counted.mlpackage"
    COREML_FP16.export(
        ExportJob(shipped("atpn-lite").load(), "full", FACTS, coreml_workspace), path
    )
    return path


def check(path: Path, lite: NetworkCount) -> None:
    """The file's multiply-adds are PyTorch's, in all and by module; nothing is uncounted."""
    rows = by_module(counted_operators(path, "full"))
    assert {row.module: row.macs for row in rows if row.macs} == leaves(lite)
    cost = cost_of(path, "full")
    assert cost.macs == lite.module("").macs
    assert cost.parameters == lite.module("").parameters
    assert cost.uncounted == {}


def leaves(network: NetworkCount) -> dict[str, int]:
    """Modules with multiply-adds that hold no others."""
    macs = {module.path: module.macs for module in network.modules if module.macs}
    return {
        path: own
        for path, own in macs.items()
        if path and not any(other.startswith(f"{path}.") for other in macs)
    }


@pytest.mark.needs("onnx", "onnxruntime", "onnxsim")
def test_onnx_has_pytorch_s_multiply_adds(shipped_onnx: Path, lite: NetworkCount) -> None:
    check(shipped_onnx, lite)


@pytest.mark.needs("litert-torch", "ai-edge-quantizer")
def test_tflite_has_pytorch_s_multiply_adds(tflite: Path, lite: NetworkCount) -> None:
    rows = by_module(counted_operators(tflite, "full"))
    found = {row.module: row.macs for row in rows if row.macs}
    # Linear layers are filled up with outputs of weight zero, and biases are sums of their own.
    linear = found.pop("alignment.head.linear")
    expected = leaves(lite)
    assert expected.pop("alignment.head.linear") <= linear < 1.2 * 94080
    assert found == expected
    cost = cost_of(tflite, "full")
    assert cost.macs == pytest.approx(lite.module("").macs, rel=3e-4)
    assert cost.parameters == pytest.approx(lite.module("").parameters, rel=0.02)
    assert cost.uncounted == {}


@pytest.mark.needs("coremltools")
def test_core_ml_has_pytorch_s_multiply_adds(coreml: Path, lite: NetworkCount) -> None:
    check(coreml, lite)
    assert {o.arithmetic for o in counted_operators(coreml) if o.macs} == {"float16"}


@pytest.mark.needs("ncnn")
def test_ncnn_has_pytorch_s_multiply_adds(ncnn: Path, lite: NetworkCount) -> None:
    check(ncnn, lite)
    whole = cost_of(ncnn)
    assert whole.weight_bytes < 0.6 * 4 * whole.parameters


@pytest.mark.needs("executorch")
def test_a_pte_has_pytorch_s_multiply_adds(executorch_float: Path, lite: NetworkCount) -> None:
    check(executorch_float, lite)


@pytest.mark.needs("onnx", "onnxruntime", "onnxsim")
def test_hard_swish_and_attention_are_counted_too(
    reference: Callable[[str | ATPNConfig], ATPN], tmp_path: Path
) -> None:
    from atpn_exporters.onnx_backend import ONNX_FP32

    path = tmp_path / "atpn.onnx"
    ONNX_FP32.export(ExportJob(reference("atpn"), "align", {"model": "atpn"}, tmp_path), path)
    network, found = count_network(ATPN_CONFIG), cost_of(path)
    parts = [network.module(name) for name in ("low", "high", "alignment")]
    assert found.macs == sum(part.macs for part in parts)
    assert found.parameters == sum(part.parameters for part in parts)
    assert found.uncounted == {}


@pytest.mark.needs("litert-torch", "ai-edge-quantizer")
def test_a_signature_of_a_file_with_both(tflite: Path, lite: NetworkCount) -> None:
    parts = [lite.module(name) for name in ("low", "high", "alignment")]
    align = sum(part.macs for part in parts)
    assert cost_of(tflite, "align").macs == pytest.approx(align, rel=3e-4)
    assert cost_of(tflite).macs == cost_of(tflite, "full").macs > 1.5 * align


@pytest.mark.needs("ncnn")
def test_an_ncnn_folder_of_all_tasks_as_align(ncnn: Path, lite: NetworkCount) -> None:
    parts = [lite.module(name) for name in ("low", "high", "alignment")]
    assert cost_of(ncnn, "align").macs == sum(part.macs for part in parts)


@pytest.mark.needs("executorch")
def test_methods_of_a_pte(executorch_float: Path, lite: NetworkCount) -> None:
    parts = [lite.module(name) for name in ("low", "high", "alignment")]
    assert cost_of(executorch_float, "align").macs == sum(part.macs for part in parts)
    with pytest.raises(ArtifactError, match="has no method 'pose'; it has align, full"):
        cost_of(executorch_float, "pose")


@pytest.mark.needs("litert-torch", "ai-edge-quantizer")
def test_dynamic_int8_multiplies_most_in_int8(tflite_workspace: Path, lite: NetworkCount) -> None:
    from atpn_exporters.tflite_backend import TFLITE_DYNAMIC_INT8

    path = tflite_workspace / "counted-dynamic.tflite"
    job = ExportJob(shipped("atpn-lite").load(), "both", FACTS, tflite_workspace)
    TFLITE_DYNAMIC_INT8.export(job, path)
    found = cost_of(path)
    assert found.macs == pytest.approx(lite.module("").macs, rel=3e-4)
    # Depthwise and transposed convolutions are left in float there.
    assert 0.75 < found.int8_macs / found.macs < 0.9
    assert found.weight_bytes < 0.4 * 4 * found.parameters
