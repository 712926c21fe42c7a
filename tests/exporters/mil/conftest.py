"""How tests of the MIL evaluator call an operator and write a package of their own."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.messages import model_class
from atpn_exporters.mil.operators import OPERATORS

#: Where a TensorValue message keeps elements of a type that is not written as raw bytes.
FIELDS = {"float32": "floats", "int32": "ints", "bool": "bools"}


def apply_operator(kind: str, /, **parameters: Any) -> Any:
    """An operator on values as a program gives them; None leaves a parameter out."""

    def bound(value: Any) -> tuple[Any, ...]:
        several = value if isinstance(value, tuple) else (value,)
        return tuple(one if isinstance(one, str) else np.asarray(one) for one in several)

    given = {name: bound(value) for name, value in parameters.items() if value is not None}
    return OPERATORS[kind](Arguments(given))


@pytest.fixture(scope="session")
def apply() -> Callable[..., Any]:
    """`apply(kind, x=..., ...)` is what that operator makes of it; a tuple is a list of values."""
    return apply_operator


def blob_writer(path: Path) -> Any:
    """Core ML's own writer of blob files, compiled, which coremltools brings along.

    Under coremltools' own name for it, since a process can load it once only.
    """
    name = "coremltools.libmilstoragepython"
    if name not in sys.modules:
        package = importlib.util.find_spec("coremltools")
        assert package is not None
        assert package.submodule_search_locations is not None
        spec = importlib.util.spec_from_file_location(
            name, Path(package.submodule_search_locations[0]) / "libmilstoragepython.so"
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]._BlobStorageWriter(str(path))


def describe(message: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """Write a tensor's type into a ValueType message."""
    tensor = message.tensorType
    kinds = tensor.DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_name
    tensor.dataType = kinds[dtype.upper()].number
    tensor.rank = len(shape)
    for side in shape:
        tensor.dimensions.add().constant.size = side


class PackageWriter:
    """Writes a .mlpackage by hand, one function of given operations after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model_path = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
        self.weights_path = self.model_path.parent / "weights" / "weight.bin"
        self.weights_path.parent.mkdir(parents=True)
        self.message = model_class()()
        self.message.specificationVersion = 8
        self._blobs = blob_writer(self.weights_path)
        self._name = "main"

    def function(self, name: str) -> None:
        """Add what follows to another function."""
        self._name = name

    @property
    def block(self) -> Any:
        """The operations of the present function."""
        function = self.message.mlProgram.functions[self._name]
        function.opset = "CoreML7"
        return function.block_specializations["CoreML7"]

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> None:
        """Declare an input of the present function."""
        self.block  # noqa: B018  makes the function
        value = self.message.mlProgram.functions[self._name].inputs.add()
        value.name = name
        describe(value.type, dtype, shape)

    def const(self, name: str, value: NDArray[Any] | str, *, blob: bool = False) -> str:
        """A constant, in place or in the blob file; returns its name."""
        message = self.operation("const", name, {}, _kind(value), np.shape(value))
        _fill(message.attributes["val"], value)
        if blob:
            assert isinstance(value, np.ndarray)
            stored = message.attributes["val"].blobFileValue
            stored.fileName = "@model_path/weights/weight.bin"
            stored.offset = self._write_blob(value)
        return name

    def _write_blob(self, value: NDArray[Any]) -> int:
        flat = np.ascontiguousarray(value).ravel()
        if value.dtype == np.float16:
            return int(self._blobs.write_fp16_data(flat.view(np.uint16)))
        write = {"float32": "float", "int8": "int8", "uint8": "uint8"}[value.dtype.name]
        return int(getattr(self._blobs, f"write_{write}_data")(flat))

    def operation(
        self,
        kind: str,
        name: str,
        inputs: dict[str, str | tuple[str, ...]],
        dtype: str,
        shape: tuple[int, ...],
    ) -> Any:
        """An operation of one result, whose inputs are names; returns its message."""
        message = self.block.operations.add()
        message.type = kind
        for parameter, names in inputs.items():
            for bound in (names,) if isinstance(names, str) else names:
                message.inputs[parameter].arguments.add().name = bound
        value = message.outputs.add()
        value.name = name
        describe(value.type, dtype, shape)
        return message

    def output(self, *names: str) -> None:
        """Declare outputs of the present function."""
        self.block.outputs.extend(names)
        for name in names:
            self.message.description.output.add().name = name

    def save(self) -> Path:
        """Write the files; a package may be saved again after `message` has changed."""
        self.model_path.write_bytes(self.message.SerializeToString())
        entry = {"path": "com.apple.CoreML/model.mlmodel"}
        manifest = {"itemInfoEntries": {"it": entry}, "rootModelIdentifier": "it"}
        (self.path / "Manifest.json").write_text(json.dumps(manifest))
        return self.path


def _kind(value: NDArray[Any] | str) -> str:
    return "string" if isinstance(value, str) else value.dtype.name


def _fill(message: Any, value: NDArray[Any] | str) -> None:
    """Write a constant in place into a Value message."""
    describe(message.type, _kind(value), np.shape(value))
    tensor = message.immediateValue.tensor
    if isinstance(value, str):
        tensor.strings.values.append(value)
    elif value.dtype.name in FIELDS:
        getattr(tensor, FIELDS[value.dtype.name]).values.extend(value.ravel().tolist())
    else:
        tensor.bytes.values = value.tobytes()


@pytest.fixture
def writer(tmp_path: Path) -> PackageWriter:
    """An empty package to fill."""
    if importlib.util.find_spec("coremltools") is None:
        pytest.skip("coremltools is not at hand")
    return PackageWriter(tmp_path / "model.mlpackage")


@pytest.fixture(scope="session")
def new_blob(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, Any]]:
    """`new_blob()` is an empty blob file and its writer; deleting the writer closes the file."""
    if importlib.util.find_spec("coremltools") is None:
        pytest.skip("coremltools is not at hand")

    def create() -> tuple[Path, Any]:
        path = tmp_path_factory.mktemp("blob") / "weight.bin"
        return path, blob_writer(path)

    return create
