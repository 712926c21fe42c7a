"""Reading a .mlpackage from disk: what is in it, and one line for each way it can be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError, AtpnError
from atpn_exporters.mil.evaluator import Evaluator
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Reference

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def filled(writer: Any) -> Any:
    """x (1, 3) -> linear -> y (1, 2), the weight in the blob file."""
    writer.input("x", (1, 3))
    writer.const("weight", WEIGHT, blob=True)
    writer.operation("linear", "y", {"x": "x", "weight": "weight"}, "float32", (1, 2))
    writer.output("y")
    return writer


def refused(path: Path, match: str) -> str:
    with pytest.raises(ArtifactError, match=match) as caught:
        open_package(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_package_says_what_it_holds(writer: Any) -> None:
    filled(writer).message.description.metadata.userDefined["who"] = "me"
    image = writer.message.description.input.add()
    image.name = "x"
    image.type.imageType.width, image.type.imageType.height = 4, 3
    image.type.imageType.colorSpace = 20  # RGB

    package = open_package(writer.save())

    function = package.functions["main"]
    assert (package.specification_version, package.default_function) == (8, "main")
    assert package.metadata == {"who": "me"}
    assert [(v.name, v.type.dtype, v.type.shape) for v in function.inputs] == [
        ("x", "float32", (1, 3))
    ]
    assert function.outputs == ("y",)
    assert [(f.name, f.kind, f.shape, f.dtype) for f in function.input_features] == [
        ("x", "image", (3, 4), "rgb")
    ]
    const, linear = function.operations
    assert np.array_equal(const.inputs["val"][0], WEIGHT)
    assert linear.inputs == {"x": (Reference("x"),), "weight": (Reference("weight"),)}
    assert linear.reads == ("weight", "x")


@pytest.mark.parametrize("blob", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_constants_in_place_and_in_the_blob_file(writer: Any, dtype: str, blob: bool) -> None:
    value = (np.arange(6) - (0 if dtype == "uint8" else 3)).reshape(2, 3).astype(dtype)
    writer.const("a", np.float32([1]), blob=True)  # what is read must not lie first
    writer.const("c", value, blob=blob)

    constant = open_package(writer.save()).functions["main"].operations[1].inputs["val"][0]

    assert isinstance(constant, np.ndarray)
    assert constant.dtype == value.dtype
    assert np.array_equal(constant, value)


def test_small_constants(writer: Any) -> None:
    writer.const("text", "valid")
    writer.const("flag", np.array(True))
    writer.const("steps", np.int32([1, 2]))

    text, flag, steps = open_package(writer.save()).functions["main"].operations

    assert text.inputs["val"] == ("valid",)
    assert flag.inputs["val"][0] == np.array(True)
    assert np.array_equal(steps.inputs["val"][0], [1, 2])


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent.mlpackage", "does not exist")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_no_package_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "other.mlpackage"
    path.mkdir() if what == "folder" else path.write_bytes(b"no package")

    refused(path, r"no \.mlpackage: it has no Manifest\.json")


@pytest.mark.parametrize(
    "manifest",
    ["{", "[]", "{}", '{"rootModelIdentifier": "a", "itemInfoEntries": {}}', "null", "\xff"],
)
def test_a_damaged_manifest_is_refused(writer: Any, manifest: str) -> None:
    filled(writer).save()
    (writer.path / "Manifest.json").write_text(manifest, encoding="latin-1")

    refused(writer.path, "does not name the package's model")


@pytest.mark.parametrize("root", ["../../elsewhere.mlmodel", "/etc/passwd"])
def test_a_model_outside_the_package_is_refused(writer: Any, root: str) -> None:
    filled(writer).save()
    entries = {"itemInfoEntries": {"it": {"path": root}}, "rootModelIdentifier": "it"}
    (writer.path / "Manifest.json").write_text(json.dumps(entries))

    refused(writer.path, "outside the package")


def test_a_missing_model_is_refused(writer: Any) -> None:
    filled(writer).save()
    writer.model_path.unlink()

    refused(writer.path, "cannot read .*model.mlmodel: No such file")


def test_a_truncated_model_is_refused(writer: Any) -> None:
    filled(writer).save()
    writer.model_path.write_bytes(writer.model_path.read_bytes()[:-7])

    refused(writer.path, "damaged or cut off")


def test_every_truncation_of_a_model_is_one_line(writer: Any) -> None:
    """Protobuf takes some cuts for a shorter message; then the program is not in order."""
    content = filled(writer).save().joinpath(writer.model_path).read_bytes()
    for length in range(0, len(content) - 1, 5):
        writer.model_path.write_bytes(content[:length])
        refused(writer.path, ".")


def test_a_newer_specification_is_refused(writer: Any) -> None:
    filled(writer).message.specificationVersion = 11

    refused(writer.save(), "specification version 11; this reader knows versions up to 10")


def test_a_model_of_another_kind_is_refused(writer: Any) -> None:
    writer.message.neuralNetwork.SetInParent()

    refused(writer.save(), "kind neuralNetwork; expected an ML program")


@pytest.mark.parametrize("kept", [0, 63, 64, 100, 130, 151])
def test_truncated_weights_are_refused(writer: Any, kept: int) -> None:
    filled(writer).save()
    content = writer.weights_path.read_bytes()
    assert len(content) > 151
    writer.weights_path.write_bytes(content[:kept])

    refused(writer.path, "cut off: it has")


def test_missing_weights_are_refused(writer: Any) -> None:
    filled(writer).save()
    shutil.rmtree(writer.weights_path.parent)

    refused(writer.path, "cannot read .*weight.bin: No such file")


def test_weights_outside_the_package_are_refused(writer: Any) -> None:
    filled(writer).block.operations[0].attributes["val"].blobFileValue.fileName = "../../w.bin"

    refused(writer.save(), "outside the package")


def test_a_wrong_offset_is_refused(writer: Any) -> None:
    filled(writer).block.operations[0].attributes["val"].blobFileValue.offset = 65

    refused(writer.save(), "no constant at byte 65")


def test_a_constant_of_another_type_is_refused(writer: Any) -> None:
    tensor = filled(writer).block.operations[0].attributes["val"].type.tensorType
    tensor.dataType = 10  # float16

    refused(writer.save(), "holds float32 at byte 64; the program expects float16")


def test_a_constant_of_another_size_is_refused(writer: Any) -> None:
    tensor = filled(writer).block.operations[0].attributes["val"].type.tensorType
    tensor.dimensions[0].constant.size = 3

    refused(writer.save(), r"holds 24 bytes at byte 64; float32 of shape \(3, 3\) takes 36")


def test_another_blob_format_is_refused(writer: Any) -> None:
    filled(writer).save()
    content = bytearray(writer.weights_path.read_bytes())
    content[4] = 1
    writer.weights_path.write_bytes(content)

    refused(writer.path, "blob format 1; expected 2")


def test_a_constant_in_place_of_another_size_is_refused(writer: Any) -> None:
    writer.const("c", np.float32([1, 2]))
    writer.block.operations[0].attributes["val"].immediateValue.tensor.floats.values.append(3)

    refused(writer.save(), r"shape \(2,\) has 3 elements, not 2")


def test_two_outputs_of_one_name_are_refused(writer: Any) -> None:
    filled(writer).output("y")

    refused(writer.save(), "two outputs named 'y'")


def test_two_values_of_one_name_are_refused(writer: Any) -> None:
    filled(writer).operation("relu", "y", {"x": "x"}, "float32", (1, 3))

    refused(writer.save(), "writes 'y' twice")


def test_a_value_that_nothing_writes_is_named(writer: Any) -> None:
    filled(writer).operation("relu", "z", {"x": "ghost"}, "float32", (1, 3))

    refused(writer.save(), "relu 'z' reads 'ghost'")


def test_a_promised_output_that_is_not_computed_is_named(writer: Any) -> None:
    filled(writer).output("landmarks")

    refused(writer.save(), "promises the output 'landmarks'")


def test_a_default_function_that_is_absent_is_named(writer: Any) -> None:
    filled(writer).message.description.defaultFunctionName = "full"

    refused(writer.save(), "default function is 'full', but the program has main")


def test_a_program_without_operations_for_its_opset_is_refused(writer: Any) -> None:
    filled(writer).message.mlProgram.functions["main"].opset = "CoreML8"

    refused(writer.save(), "no operations for its opset 'CoreML8'")


def test_an_unknown_element_type_is_refused(writer: Any) -> None:
    filled(writer).block.operations[1].outputs[0].type.tensorType.dataType = 40

    refused(writer.save(), "elements of float8e4m3fn, which this reader does not know")


def test_an_operation_without_a_result_is_refused(writer: Any) -> None:
    del filled(writer).block.operations[1].outputs[:]

    refused(writer.save(), "kind 'linear' writes no value")


def test_a_constant_written_as_another_kind_is_refused(writer: Any) -> None:
    writer.const("c", np.float32([1]))
    tensor = writer.block.operations[0].attributes["val"].immediateValue.tensor
    tensor.strings.values.append("one")

    refused(writer.save(), "constant of float32 is written as strings")


def test_what_a_damaged_byte_does_is_one_line(writer: Any) -> None:
    """Any other error than ours would end a command with a traceback."""
    writer.input("x", (1, 2, 4))
    writer.const("weight", np.ones((3, 2, 3), np.float32), blob=True)
    writer.const("kind", "same")
    writer.const("strides", np.int32([2]))
    names = {"x": "x", "weight": "weight", "pad_type": "kind", "strides": "strides"}
    writer.operation("conv", "y", names, "float16", (1, 3, 2))
    writer.output("y")
    content = writer.save().joinpath(writer.model_path).read_bytes()
    rng = np.random.default_rng(0)
    complaints = []
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        writer.model_path.write_bytes(damaged)
        try:
            evaluator = Evaluator(open_package(writer.path))
            shapes = [value.type.shape for value in evaluator.function.inputs]
            if shapes == [(1, 2, 4)]:
                evaluator.run({evaluator.function.inputs[0].name: np.ones((1, 2, 4), np.float32)})
        except AtpnError as error:
            complaints.append(str(error))

    assert 0 < len(complaints) < 300
    assert [complaint for complaint in complaints if "\n" in complaint] == []
