"""The .mlpackages of a trained network: equal to PyTorch, reproducible, shared, as they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.errors import CalibrationError
from atpn_deploy.golden import load_inputs
from atpn_deploy.parity import compare
from atpn_exporters.artifact_files import files_of, sha256_of, size_bytes
from atpn_exporters.coreml_backend import (
    COREML_FP16,
    COREML_FP32,
    COREML_INT8,
    COREML_PALETTE4,
    COREML_PALETTE6,
    COREML_W8A8,
)
from atpn_exporters.coreml_names import HALF, written
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Reference
from atpn_exporters.session import SessionOptions
from atpn_exporters.target import ExportJob, Target

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch", "coremltools")

TARGETS = {
    t.name: t
    for t in (COREML_FP32, COREML_FP16, COREML_INT8, COREML_PALETTE6, COREML_PALETTE4, COREML_W8A8)
}
FACTS = {"name": "a test", "target": "coreml-any", "nested": {"numbers": [1, 2.5]}, "text": "größe"}
OPTIONS = SessionOptions()
Exporter = Callable[..., Path]


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    """Five golden faces: trained weights mean something on faces alone."""
    golden = load_inputs()
    return golden.images[golden.faces][::7][:5]


@pytest.fixture(scope="module")
def lite() -> ATPN:
    from atpn_deploy.weights import shipped

    return shipped("atpn-lite").load()


@pytest.fixture(scope="module")
def coreml_job(lite: ATPN, faces: NDArray[np.uint8], coreml_workspace: Path) -> ExportJob:
    bare = ExportJob(lite, "full", FACTS, coreml_workspace)
    assert COREML_W8A8.observe is not None
    return replace(bare, ranges={"full": COREML_W8A8.observe(bare, faces)})


@pytest.fixture(scope="module")
def coreml_file(coreml_job: ExportJob, tmp_path_factory: pytest.TempPathFactory) -> Exporter:
    """`coreml_file(target name, signature)`, exported once a session."""
    folder = tmp_path_factory.mktemp("coreml-files")

    def export(target: str, signature: str = "full") -> Path:
        path = folder / f"{signature}-{target}.mlpackage"
        if not path.exists():
            TARGETS[target].export(replace(coreml_job, signature=signature), path)
        return path

    return export


def outputs_of(
    target: Target, path: Path, images: NDArray[np.uint8], signature: str | None = None
) -> dict[str, NDArray[np.float32]]:
    with target.load(path, SessionOptions(signature=signature)) as session:
        rows = [session.run({"image": image}) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("target", TARGETS)
def test_file_is_the_network(
    coreml_file: Exporter, lite: ATPN, faces: NDArray[np.uint8], target: str
) -> None:
    from atpn_deploy.weights import predictor

    images = faces[:3]
    actual = outputs_of(TARGETS[target], coreml_file(target), images)

    # The limits themselves are held by every export, over all golden crops; three of them scatter.
    room = 1 if TARGETS[target] in (COREML_FP32, COREML_FP16) else 3
    limits = [replace(limit, value=room * limit.value) for limit in TARGETS[target].limits]
    rows = compare(actual, predictor(lite)(images), limits, np.ones(3, bool))

    assert [row for row in rows if not row.ok] == []
    assert {name: array.shape[1:] for name, array in actual.items()} == {
        spec.name: spec.shape[1:] for spec in OUTPUTS
    }
    assert {array.dtype for array in actual.values()} == {np.dtype(np.float32)}


def test_fewer_bits_move_the_landmarks_a_little_and_shrink_the_file(
    coreml_file: Exporter, faces: NDArray[np.uint8]
) -> None:
    """A compression that did nothing would pass every limit."""
    sizes = {name: size_bytes(coreml_file(name)) for name in TARGETS}
    exact = outputs_of(COREML_FP16, coreml_file("coreml-fp16"), faces[:1])["landmarks"]
    for name in ("coreml-int8", "coreml-palette6", "coreml-palette4", "coreml-w8a8"):
        moved = outputs_of(TARGETS[name], coreml_file(name), faces[:1])["landmarks"] - exact
        assert 0 < 112 * np.abs(moved).mean() < 2

    assert sizes["coreml-fp16"] < 0.6 * sizes["coreml-fp32"]
    assert sizes["coreml-int8"] < 0.7 * sizes["coreml-fp16"]
    assert sizes["coreml-palette4"] < sizes["coreml-palette6"] < sizes["coreml-int8"]


@pytest.mark.parametrize(
    ("target", "scheme", "system"),
    [
        ("coreml-fp32", "weights float32; activations float32", 8),
        ("coreml-fp16", "weights float16; activations float16", 8),
        ("coreml-int8", "weights int8 per channel, float16; activations float16", 8),
        ("coreml-palette6", "weights palette of 64 a layer, palette of 256 a layer", 8),
        ("coreml-palette4", "weights palette of 16 a group of channels, palette of 256 a layer", 9),
        ("coreml-w8a8", "weights int8 per channel, ", 8),
    ],
)
def test_scheme_and_system_are_read_from_the_file(
    coreml_file: Exporter, target: str, scheme: str, system: int
) -> None:
    path = coreml_file(target)
    facts = TARGETS[target].inspect(path)

    assert facts.scheme.startswith(scheme)
    assert facts.transposes == 0
    assert open_package(path).specification_version == system


def test_int8_activations_leave_only_the_ends_in_float(coreml_file: Exporter) -> None:
    facts = COREML_W8A8.inspect(coreml_file("coreml-w8a8"))

    assert facts.scheme.endswith("activations uint8 and int8 and float16")
    assert facts.float_operators["linear"] == 3  # the heads
    assert facts.float_operators["conv"] < 0.1 * facts.operators["conv"]
    assert facts.float_operators.get("relu", 0) < 0.2 * facts.operators["relu"]


def test_int8_weights_are_those_of_layers_alone(coreml_file: Exporter) -> None:
    """Other constants, the mean shape say, are added to what is finer than a step of theirs."""
    (function,) = open_package(coreml_file("coreml-w8a8")).functions.values()
    packed = {o.name for o in function.operations if o.kind == "constexpr_affine_dequantize"}
    weights = {
        reference.name
        for operation in function.operations
        for reference in operation.inputs.get("weight", ())
        if isinstance(reference, Reference)
    }
    assert packed
    assert packed <= weights


def test_bytes_of_the_image_enter_the_int8_program_without_loss(coreml_file: Exporter) -> None:
    operations = open_package(coreml_file("coreml-w8a8")).functions["main"].operations
    constants = {op.name: op.inputs["val"][0] for op in operations if op.kind == "const"}
    [image] = [op for op in operations if op.kind == "quantize" and op.reads[0][:5] == "image"]

    def value(parameter: str) -> Any:
        [bound] = image.inputs[parameter]
        stored = constants[bound.name] if isinstance(bound, Reference) else bound
        return np.asarray(stored).item()

    assert (value("scale"), value("output_dtype")) == (1.0, "uint8")
    assert "zero_point" not in image.inputs


def test_operations_are_called_after_the_modules(coreml_file: Exporter, lite: ATPN) -> None:
    from torch import nn

    from atpn_deploy.folding import FoldedATPN

    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    modules = [
        written(path)
        for path, module in FoldedATPN(lite).named_modules()
        if isinstance(module, layers)
    ]
    for target in ("coreml-fp32", "coreml-fp16", "coreml-w8a8"):
        function = open_package(coreml_file(target)).functions["main"]
        named = [
            op.name.removesuffix(HALF)
            for op in function.operations
            if op.kind in ("conv", "conv_transpose", "linear")
        ]
        assert Counter(named) == Counter(modules)
        assert function.outputs == ("landmarks", "pose", "confidence")


def test_image_is_rgb_and_every_tensor_says_what_it_means(coreml_file: Exporter) -> None:
    from atpn_exporters.mil.messages import model_class

    path = coreml_file("coreml-fp16")
    message = model_class()()
    message.ParseFromString((path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    [image] = message.description.input

    assert image.type.imageType.ColorSpace.Name(image.type.imageType.colorSpace) == "RGB"
    assert (image.type.imageType.width, image.type.imageType.height) == (112, 112)
    assert [f.shortDescription for f in message.description.output] == [s.meaning for s in OUTPUTS]
    assert [f.type.multiArrayType.dataType for f in message.description.output] == [65568] * 3


def test_metadata_comes_back_and_fills_what_xcode_shows(coreml_file: Exporter) -> None:
    path = coreml_file("coreml-int8")

    assert COREML_INT8.read_metadata(path) == FACTS
    keys = set(open_package(path).metadata)
    assert "com.github.apple.coremltools.conversion_date" not in keys
    assert keys <= {
        "atpn",
        "com.github.apple.coremltools.version",
        "com.github.apple.coremltools.source",
        "com.github.apple.coremltools.source_dialect",
    }


@pytest.mark.parametrize("target", ["coreml-fp32", "coreml-w8a8"])
def test_package_is_what_core_mls_own_reader_expects(coreml_file: Exporter, target: str) -> None:
    import warnings

    path = coreml_file(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coremltools.libmodelpackage import ModelPackage
    assert ModelPackage.isValid(str(path))
    assert Path(ModelPackage(str(path)).getRootModel().path()).name == "model.mlmodel"
    assert [file.relative_to(path).as_posix() for file in files_of(path)] == [
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
        "Manifest.json",
    ]


def test_two_functions_share_their_weights(coreml_file: Exporter, faces: NDArray[np.uint8]) -> None:
    both = coreml_file("coreml-fp16", "both")
    package = open_package(both)
    weights = "Data/com.apple.CoreML/weights/weight.bin"

    assert set(package.functions) == {"align", "full"}
    assert package.default_function == "full"
    assert package.specification_version == 9
    alone = (coreml_file("coreml-fp16") / weights).stat().st_size
    assert (both / weights).stat().st_size <= 1.02 * alone
    full = outputs_of(COREML_FP16, both, faces[:1], "full")
    align = outputs_of(COREML_FP16, both, faces[:1], "align")
    assert list(align) == ["landmarks"]
    np.testing.assert_allclose(align["landmarks"], full["landmarks"], atol=1e-6)
    np.testing.assert_array_equal(
        full["pose"], outputs_of(COREML_FP16, coreml_file("coreml-fp16"), faces[:1])["pose"]
    )


def test_bytes_are_equal_in_another_process_and_order(
    coreml_file: Exporter, coreml_job: ExportJob, tmp_path: Path
) -> None:
    from atpn_deploy.weights import save_state

    save_state(coreml_job.model, tmp_path / "weights.safetensors")
    (tmp_path / "job.json").write_text(json.dumps([FACTS, coreml_job.ranges]))
    program = """
import json, pathlib
from atpn_deploy.weights import open_checkpoint
from atpn_exporters import coreml_backend as backend
from atpn_exporters.target import ExportJob
facts, ranges = json.loads(pathlib.Path("job.json").read_text())
model = open_checkpoint(pathlib.Path("weights.safetensors")).load()
here = pathlib.Path(".")
backend.COREML_W8A8.export(ExportJob(model, "full", facts, here, ranges), here / "1.mlpackage")
backend.COREML_FP16.export(ExportJob(model, "both", facts, here), here / "2.mlpackage")
backend.COREML_PALETTE6.export(ExportJob(model, "full", facts, here), here / "3.mlpackage")
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "99"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )

    made = [sha256_of(tmp_path / f"{number}.mlpackage") for number in (1, 2, 3)]

    assert made == [
        sha256_of(coreml_file("coreml-w8a8")),
        sha256_of(coreml_file("coreml-fp16", "both")),
        sha256_of(coreml_file("coreml-palette6")),
    ]


def test_activations_without_ranges_are_refused(coreml_job: ExportJob, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="--calibration DIR"):
        COREML_W8A8.export(replace(coreml_job, ranges={}), tmp_path / "x.mlpackage")


def test_ranges_of_another_network_are_refused(coreml_job: ExportJob, tmp_path: Path) -> None:
    ranges = dict(coreml_job.ranges["full"])
    del ranges["low_stem_conv"]
    with pytest.raises(CalibrationError, match=r"lacks 1 of .*low_stem_conv.*another network"):
        COREML_W8A8.export(replace(coreml_job, ranges={"full": ranges}), tmp_path / "x.mlpackage")


def test_range_that_is_none_is_refused(coreml_job: ExportJob, tmp_path: Path) -> None:
    ranges = dict(coreml_job.ranges["full"]) | {"low_stem_conv": (0.0, float("nan"))}
    with pytest.raises(CalibrationError, match="low_stem_conv; expected two finite numbers"):
        COREML_W8A8.export(replace(coreml_job, ranges={"full": ranges}), tmp_path / "x.mlpackage")
    assert list(tmp_path.iterdir()) == []


def test_ranges_are_those_that_pytorch_computes(
    coreml_job: ExportJob, faces: NDArray[np.uint8]
) -> None:
    import torch

    from atpn_deploy.folding import FoldedATPN

    network = FoldedATPN(coreml_job.model)
    seen: list[tuple[float, float]] = []
    network.get_submodule("low.stem.conv").register_forward_hook(
        lambda _, __, made: seen.append((float(made.min()), float(made.max())))
    )
    with torch.inference_mode():
        for face in faces:
            network(torch.from_numpy(face[None]).float())

    low, high = coreml_job.ranges["full"]["low_stem_conv"]
    assert low == pytest.approx(min(low for low, _ in seen), rel=1e-5)
    assert high == pytest.approx(max(high for _, high in seen), rel=1e-5)
