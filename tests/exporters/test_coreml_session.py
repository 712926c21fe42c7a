"""Opening a .mlpackage: what is refused and how, and which of the two runtimes says what."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import OUTPUTS, SIGNATURES
from atpn_deploy.errors import ArtifactError, UnsupportedError
from atpn_exporters.artifact_files import files_of
from atpn_exporters.coreml_backend import COREML_FP16
from atpn_exporters.coreml_package import read_metadata, write_package
from atpn_exporters.coreml_session import FIRST_SYSTEMS, CoreMLSession, why_untimed
from atpn_exporters.opening import identify, open_file
from atpn_exporters.session import SessionOptions

pytestmark = pytest.mark.needs("coremltools")

FLOAT32 = 11  # MIL.proto's number
Write = Callable[..., Path]


def add_tensor_type(holder: Any, shape: tuple[int, ...]) -> None:
    holder.dataType = FLOAT32
    holder.rank = len(shape)
    for side in shape:
        holder.dimensions.add().constant.size = side


def add_features(description: Any, signature: str) -> None:
    image = description.input.add(name="image")
    image.type.imageType.width = image.type.imageType.height = 112
    image.type.imageType.colorSpace = 20  # RGB
    for spec in SIGNATURES[signature]:
        output = description.output.add(name=spec.name)
        output.type.multiArrayType.shape.extend(spec.shape)
        output.type.multiArrayType.dataType = 65568  # FLOAT32


def add_function(message: Any, name: str, signature: str) -> None:
    """A function that gives 0.25 whatever it sees."""
    function = message.mlProgram.functions[name]
    function.opset = "CoreML7"
    image = function.inputs.add(name="image")
    add_tensor_type(image.type.tensorType, (1, 3, 112, 112))
    block = function.block_specializations["CoreML7"]
    for spec in SIGNATURES[signature]:
        operation = block.operations.add(type="const")
        add_tensor_type(operation.outputs.add(name=spec.name).type.tensorType, spec.shape)
        value = operation.attributes["val"]
        add_tensor_type(value.type.tensorType, spec.shape)
        value.immediateValue.tensor.floats.values.extend([0.25] * int(np.prod(spec.shape)))
        block.outputs.append(spec.name)


@pytest.fixture
def mlpackage(tmp_path: Path) -> Write:
    """`mlpackage(change)` writes a small ATPN, its message changed by `change` first."""

    def write(
        change: Callable[[Any], object] = lambda message: None,
        functions: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> Path:
        from atpn_exporters.mil.messages import model_class

        message = model_class()(specificationVersion=8)
        for name, signature in (functions or {"main": "full"}).items():
            add_function(message, name, signature)
            described = message.description
            if functions:
                described = message.description.functions.add(name=name)
            add_features(described, signature)
        if functions:
            message.description.defaultFunctionName = next(iter(functions))
        change(message)
        path = tmp_path / "small.mlpackage"
        write_package(message, bytes(64), facts or {}, path)
        return path

    return write


def image() -> dict[str, NDArray[Any]]:
    return {"image": np.full((1, 112, 112, 3), 200, np.uint8)}


def test_evaluator_says_that_it_is_no_neural_engine(mlpackage: Write) -> None:
    with CoreMLSession(mlpackage(), SessionOptions()) as session:
        outputs = session.run(image())
        session.repeat()

    assert session.runtime.startswith("reference evaluator")
    assert "does not see how the Neural Engine computes" in session.runtime
    assert session.kernel_family == "mil-evaluator-fp32"
    assert {name: array.shape for name, array in outputs.items()} == {
        spec.name: spec.shape for spec in OUTPUTS
    }
    assert session.steps == {}
    with pytest.raises(ValueError, match="closed"):
        session.run(image())


def test_function_is_chosen_by_signature(mlpackage: Write) -> None:
    path = mlpackage(functions={"full": "full", "align": "align"})

    for signature, count in (("align", 1), ("full", 3), (None, 3)):
        with CoreMLSession(path, SessionOptions(signature=signature)) as session:
            assert len(session.run(image())) == len(session.output_names) == count


def test_signature_that_is_not_there_is_named(mlpackage: Write) -> None:
    with pytest.raises(ArtifactError, match="computes the signature 'full'; 'align' was asked"):
        CoreMLSession(mlpackage(), SessionOptions(signature="align"))


def other_function(message: Any) -> None:
    message.mlProgram.functions["train"].CopyFrom(message.mlProgram.functions["full"])
    message.description.functions.add(name="train").CopyFrom(message.description.functions[0])
    message.description.functions[1].name = "train"


def test_package_of_several_functions_without_the_one_asked_for(mlpackage: Write) -> None:
    path = mlpackage(other_function, functions={"full": "full"})
    with pytest.raises(ArtifactError, match="has no signature 'align'; it has full, train"):
        CoreMLSession(path, SessionOptions(signature="align"))


def rename_image(message: Any) -> None:
    message.description.input[0].name = "picture"
    message.mlProgram.functions["main"].inputs[0].name = "picture"


def swap_colours(message: Any) -> None:
    message.description.input[0].type.imageType.colorSpace = 30  # BGR


def rename_output(message: Any) -> None:
    """As description, result of the block and operation alike."""
    message.description.output[1].name = "class_label"
    block = message.mlProgram.functions["main"].block_specializations["CoreML7"]
    block.outputs[1] = block.operations[1].outputs[0].name = "class_label"


def repeat_output(message: Any) -> None:
    message.description.output[1].name = "landmarks"


def newer(message: Any) -> None:
    message.specificationVersion = 99


def other_kind(message: Any) -> None:
    message.ClearField("mlProgram")
    message.neuralNetwork.layers.add(name="inner")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_image, r"is no ATPN: it takes picture \(rgb image \(112, 112\)\); expected image"),
        (swap_colours, r"it takes image \(bgr image \(112, 112\)\); expected image \(rgb"),
        (rename_output, "is no ATPN: it computes class_label, confidence, landmarks; expected"),
        (repeat_output, "two outputs named 'landmarks'"),
        (newer, "specification version 99; this reader knows versions up to"),
        (other_kind, "kind neuralNetwork; expected an ML program"),
    ],
)
def test_what_is_no_atpn_is_one_clear_line(
    mlpackage: Write, change: Callable[[Any], None], said: str
) -> None:
    path = mlpackage(change)
    with pytest.raises(ArtifactError, match=said) as caught:
        CoreMLSession(path, SessionOptions())
    assert "\n" not in str(caught.value)
    assert "small.mlpackage" in str(caught.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: cut(p / "Data/com.apple.CoreML/model.mlmodel"), "damaged or cut off"),
        (lambda p: (p / "Manifest.json").unlink(), "no Manifest.json"),
        (lambda p: (p / "Manifest.json").write_text("{}"), "does not name the package's model"),
        (lambda p: (p / "Data/com.apple.CoreML/model.mlmodel").unlink(), "cannot read"),
    ],
)
def test_damaged_package_is_one_clear_line(
    mlpackage: Write, damage: Callable[[Path], object], said: str
) -> None:
    path = mlpackage()
    damage(path)
    for opener in (identify, read_metadata, lambda p: open_file(p, SessionOptions())):
        with pytest.raises(ArtifactError, match=said):
            opener(path)


def test_file_knows_its_target_and_a_foreign_one_is_asked_for(mlpackage: Write) -> None:
    path = mlpackage(facts={"target": "coreml-fp16", "checkpoint_sha256": "ab"})
    artifact = identify(path)

    assert (artifact.target, artifact.checkpoint_sha256) == (COREML_FP16, "ab")
    assert len(artifact.sha256) == 64


def test_foreign_package_needs_a_target(mlpackage: Write) -> None:
    with pytest.raises(ArtifactError, match="--target coreml-"):
        identify(mlpackage())


def test_metadata_that_is_no_json_is_one_clear_line(mlpackage: Write) -> None:
    def spoil(message: Any) -> None:
        message.description.metadata.userDefined["atpn"] = "{"

    with pytest.raises(ArtifactError, match="'atpn' is no JSON object"):
        read_metadata(mlpackage(spoil))


def test_equal_programs_give_equal_bytes(mlpackage: Write, tmp_path: Path) -> None:
    first = mlpackage(facts={"b": 1, "a": 2})
    content = [file.read_bytes() for file in files_of(first)]
    first.rename(tmp_path / "other.mlpackage")

    assert [file.read_bytes() for file in files_of(mlpackage(facts={"a": 2, "b": 1}))] == content


class FakeModel:
    """Core ML as far as a session meets it."""

    opened: dict[str, Any]

    def __init__(self, path: str, **options: Any) -> None:
        FakeModel.opened = {"path": path, **options}

    def predict(self, feeds: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
        assert np.asarray(feeds["image"]).dtype == np.uint8
        brightness = float(np.asarray(feeds["image"]).mean())
        return {spec.name: np.full(spec.shape, brightness) for spec in OUTPUTS}


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`mac(version)`: this machine says that it is a Mac with that system."""

    def pretend(system: str) -> None:
        coremltools = ModuleType("coremltools")
        coremltools.ComputeUnit = type("ComputeUnit", (), {"ALL": "all"})  # type: ignore[attr-defined]
        models = ModuleType("coremltools.models")
        models.MLModel = FakeModel  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "coremltools", coremltools)
        monkeypatch.setitem(sys.modules, "coremltools.models", models)
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        monkeypatch.setattr(platform, "mac_ver", lambda: (system, ("", "", ""), "arm64"))

    return pretend


def test_on_a_mac_core_ml_itself_runs_and_says_so(
    mlpackage: Write, mac: Callable[[str], None]
) -> None:
    pytest.importorskip("PIL")
    path = mlpackage(functions={"full": "full", "align": "align"})
    from atpn_exporters.mil.messages import model_class

    model_class()  # as a session does first, from the coremltools that is really installed
    mac("15.1")
    with CoreMLSession(path, SessionOptions(signature="full")) as session:
        outputs = session.run(image())

    assert session.runtime.startswith("Core ML of macOS 15.1, all compute units")
    assert session.kernel_family.startswith("coreml-")
    assert FakeModel.opened["function_name"] == "full"
    assert FakeModel.opened["compute_units"] == "all"
    assert outputs["pose"].dtype == np.float32
    assert outputs["pose"][0, 0] == 200
    assert why_untimed() == ""


def test_mac_that_is_too_old_is_told_what_it_needs(
    mlpackage: Write, mac: Callable[[str], None]
) -> None:
    path = mlpackage()
    mac("13.6.1")
    with pytest.raises(UnsupportedError, match=r"needs macOS 14 or iOS 17; this Mac has macOS 13"):
        CoreMLSession(path, SessionOptions())


def test_latency_off_a_mac_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert "no latency" in COREML_FP16.why_untimed


def test_every_specification_has_its_first_systems() -> None:
    from atpn_exporters.mil.package import NEWEST_SPECIFICATION

    assert max(FIRST_SYSTEMS) == NEWEST_SPECIFICATION
