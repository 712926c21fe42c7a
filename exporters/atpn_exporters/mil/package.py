"""Read a .mlpackage from disk: its manifest, its protobuf program and its blob of weights."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.messages import model_class
from atpn_exporters.mil.program import (
    Constant,
    Feature,
    Function,
    Operation,
    Package,
    Reference,
    Value,
)
from atpn_exporters.mil.values import ConstantReader, value_type

SUFFIX = ".mlpackage"
#: Newest specification whose operators were read for this evaluator: 9 is iOS 18, 10 is iOS 26,
#: which adds none.
NEWEST_SPECIFICATION = 10
#: The function of a package that names none.
MAIN = "main"


def open_package(path: Path) -> Package:
    """Everything the package holds, weights included.

    Raises ArtifactError, in one line, for a folder that is missing or no package, a model of
    another kind, a specification that is newer than NEWEST_SPECIFICATION, weights that are cut off
    and a program that is not in order; MissingToolError without coremltools.
    """
    model_path = _model_path(path)
    message = _parse(model_path)
    try:
        return _package(path, model_path.parent, message)
    except ArtifactError as error:
        where = str(error)
        raise ArtifactError(where if str(path) in where else f"{path}: {where}") from error


def _model_path(path: Path) -> Path:
    """The file that the manifest calls the root model."""
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; expected a {SUFFIX} folder")
    manifest_path = path / "Manifest.json"
    if not manifest_path.is_file():
        raise ArtifactError(f"{path} is no {SUFFIX}: it has no Manifest.json")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        relative = Path(root)
    except (ValueError, LookupError, TypeError) as error:
        raise ArtifactError(f"{manifest_path} does not name the package's model") from error
    if relative.is_absolute() or ".." in relative.parts:
        raise ArtifactError(f"{manifest_path} names {root!r}, which lies outside the package")
    return path / "Data" / relative


def _parse(path: Path) -> Any:
    """The protobuf message of a model.mlmodel that is an ML program."""
    from google.protobuf.message import DecodeError

    message = model_class()()
    try:
        message.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise ArtifactError(f"{path} is damaged or cut off: it is no Core ML model") from error
    if message.specificationVersion > NEWEST_SPECIFICATION:
        raise ArtifactError(
            f"{path} has specification version {message.specificationVersion}; this reader knows "
            f"versions up to {NEWEST_SPECIFICATION}: export for an older iOS"
        )
    kind = message.WhichOneof("Type")
    if kind != "mlProgram":
        raise ArtifactError(
            f"{path} is a Core ML model of kind {kind or 'none'}; expected an ML program, which is "
            "what coremltools writes with convert_to='mlprogram'"
        )
    return message


def _package(path: Path, folder: Path, message: Any) -> Package:
    reader = ConstantReader(folder)
    description = message.description
    described = {entry.name: entry for entry in description.functions}
    functions = {
        name: _function(name, function, described.get(name, description), reader)
        for name, function in sorted(message.mlProgram.functions.items())
    }
    default = description.defaultFunctionName or MAIN
    if default not in functions:
        raise ArtifactError(
            f"the default function is {default!r}, but the program has "
            f"{', '.join(functions) or 'no function'}"
        )
    return Package(
        path,
        int(message.specificationVersion),
        functions,
        default,
        dict(sorted(description.metadata.userDefined.items())),
    )


def _function(name: str, message: Any, description: Any, reader: ConstantReader) -> Function:
    """One function, checked: every value is written once, and before it is read."""
    block = message.block_specializations.get(message.opset)
    if block is None:
        raise ArtifactError(f"function {name!r} has no operations for its opset {message.opset!r}")
    function = Function(
        name,
        message.opset,
        tuple(Value(entry.name, value_type(entry.type)) for entry in message.inputs),
        tuple(_operation(operation, reader) for operation in block.operations),
        tuple(block.outputs),
        tuple(_feature(entry) for entry in description.input),
        tuple(_feature(entry) for entry in description.output),
    )
    _check_names(function)
    return function


def _operation(message: Any, reader: ConstantReader) -> Operation:
    """One operation; what a file gives as attribute or as input is the same parameter to us."""
    if not message.type.isidentifier():
        raise ArtifactError(f"an operation is of kind {message.type!r}; the program is damaged")
    outputs = tuple(Value(entry.name, value_type(entry.type)) for entry in message.outputs)
    if not outputs:
        raise ArtifactError(f"an operation of kind {message.type!r} writes no value")
    inputs: dict[str, tuple[Reference | Constant, ...]] = {
        parameter: tuple(
            Reference(binding.name)
            if binding.WhichOneof("binding") == "name"
            else reader.read(binding.value)
            for binding in argument.arguments
        )
        for parameter, argument in sorted(message.inputs.items())
    }
    for parameter, value in sorted(message.attributes.items()):
        if parameter != "name":
            inputs[parameter] = (reader.read(value),)
    return Operation(message.type, outputs[0].name, inputs, outputs)


def _check_names(function: Function) -> None:
    """Raise ArtifactError unless each value is written once and read after that."""
    where = f"function {function.name!r}"
    known = {value.name for value in function.inputs}
    for operation in function.operations:
        if absent := [name for name in operation.reads if name not in known]:
            raise ArtifactError(
                f"{where}: {operation.kind} {operation.name!r} reads {absent[0]!r}, which nothing "
                "before it writes"
            )
        for value in operation.outputs:
            if value.name in known:
                raise ArtifactError(f"{where} writes {value.name!r} twice")
            known.add(value.name)
    described = [feature.name for feature in function.output_features]
    for names in (function.outputs, described):
        if twice := repeated(names):
            raise ArtifactError(f"{where} has two outputs named {twice[0]!r}")
    if absent := [name for name in (*function.outputs, *described) if name not in known]:
        raise ArtifactError(f"{where} promises the output {absent[0]!r} and does not compute it")


def repeated(names: Iterable[str]) -> list[str]:
    """The names that come more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _feature(message: Any) -> Feature:
    """An input or output as the model's description gives it."""
    kind = message.type.WhichOneof("Type")
    if kind == "imageType":
        image = message.type.imageType
        colours = image.DESCRIPTOR.fields_by_name["colorSpace"].enum_type.values_by_number
        return Feature(
            message.name,
            "image",
            (int(image.height), int(image.width)),
            colours[image.colorSpace].name.lower(),
        )
    array = message.type.multiArrayType
    dtypes = array.DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number
    return Feature(
        message.name,
        str(kind).removesuffix("Type").lower(),
        tuple(int(side) for side in array.shape),
        dtypes[array.dataType].name.lower() if kind == "multiArrayType" else "",
    )
