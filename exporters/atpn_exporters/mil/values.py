"""Values of an ML program's protobuf as NumPy arrays: written in place, or in a blob file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.blob import CODES, SUB_BYTE, BlobFile, packed_bytes, unpack
from atpn_exporters.mil.program import Constant, ValueType

#: How the program names the folder of its model.mlmodel.
MODEL_FOLDER = "@model_path/"
#: The element types that a value may have.
DTYPES = {*CODES.values(), "float64", "int64", "uint64", "bool", "string"}


def value_type(message: Any) -> ValueType:
    """Element type and shape; raises ArtifactError for anything but a tensor."""
    kind = message.WhichOneof("type")
    if kind != "tensorType":
        raise ArtifactError(f"a value is of kind {kind}; only tensors can be evaluated")
    tensor = message.tensorType
    words = tensor.DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number
    word = words.get(tensor.dataType)
    dtype = f"code {tensor.dataType}" if word is None else word.name.lower()
    if dtype not in DTYPES:
        raise ArtifactError(f"a value has elements of {dtype}, which this reader does not know")
    shape = tuple(
        int(side.constant.size) if side.WhichOneof("dimension") == "constant" else None
        for side in tensor.dimensions
    )
    return ValueType(dtype, shape)


class ConstantReader:
    """Reads the constants of one program; blob files are opened once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # the one that holds model.mlmodel
        self._files: dict[str, BlobFile] = {}

    def read(self, message: Any) -> Constant:
        """One Value message that holds a tensor or a text."""
        kind = value_type(message.type)
        if None in kind.shape:
            raise ArtifactError("a constant leaves its shape open; the program is damaged")
        shape = tuple(int(side) for side in kind.shape if side is not None)
        if message.WhichOneof("value") == "blobFileValue":
            return self._file(message.blobFileValue.fileName).read(
                int(message.blobFileValue.offset), kind.dtype, shape
            )
        return _immediate(message.immediateValue, kind.dtype, shape)

    def _file(self, name: str) -> BlobFile:
        """The blob file that the program calls `name`, inside the package or refused."""
        if name not in self._files:
            relative = Path(name.removeprefix(MODEL_FOLDER))
            if relative.is_absolute() or ".." in relative.parts or not name.isprintable():
                raise ArtifactError(f"the program reads {name!r}, which lies outside the package")
            self._files[name] = BlobFile(self._folder / relative)
        return self._files[name]


def _immediate(message: Any, dtype: str, shape: tuple[int, ...]) -> Constant:
    """A value written into the program itself."""
    if message.WhichOneof("value") != "tensor":
        raise ArtifactError(f"a constant is a {message.WhichOneof('value')}; expected a tensor")
    field = message.tensor.WhichOneof("value")
    values = getattr(message.tensor, field).values if field else ()
    if dtype == "string":
        return ", ".join(str(text) for text in values)
    count = int(np.prod(shape, dtype=np.int64))
    held = len(values)
    if field == "bytes":
        expected = packed_bytes(count, dtype)
        if held == expected:
            return unpack(bytes(values), dtype, count).reshape(shape)
        raise ArtifactError(f"a constant of {dtype} {shape} has {held} bytes, not {expected}")
    if held != count:
        raise ArtifactError(f"a constant of shape {shape} has {held} elements, not {count}")
    if dtype in SUB_BYTE:
        raise ArtifactError(f"a constant of {dtype} is not packed; the program is damaged")
    try:
        return np.array(values, dtype).reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArtifactError(f"a constant of {dtype} is written as {field}") from error
