"""A .tflite's bytes to objects and back, its tensors in the file and aligned."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError

#: What TFLite's schema asks of a buffer's data, for SIMD loads.
ALIGNMENT = 16
#: Bytes 4 to 8 of every .tflite.
IDENTIFIER = b"TFL3"


class AlignedBuffer:
    """A constant as the schema wants it: 16-byte aligned, inside the flatbuffer.

    The generated Python packs bytes unaligned, and the quantizer moves them behind the flatbuffer,
    where older runtimes do not look.
    """

    def __init__(self, data: Any) -> None:
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802  the generated classes call it so
        """Write the buffer."""
        from ai_edge_litert import schema_py_generated as schema

        vector = None
        if self.data is not None and len(self.data):
            content = bytes(self.data)
            builder.StartVector(1, len(content), ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def unpack(content: bytes) -> Any:
    """The file as a mutable object tree, or raise ArtifactError."""
    from ai_edge_litert.tools import flatbuffer_utils

    check_complete(content)
    try:
        return flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise ArtifactError(f"damaged: {error}") from error


def read_model(path: Path) -> Any:
    """`unpack` of a file, which the error names."""
    try:
        return unpack(read_content(path))
    except ArtifactError as error:
        raise ArtifactError(f"{path} is {error}") from error


def read_content(path: Path) -> bytes:
    """The bytes of a .tflite that is there, or raise ArtifactError."""
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; expected a .tflite file")
    return path.read_bytes()


def pack(model: Any) -> bytes:
    """The object tree as a file; `model` keeps its buffers."""
    import flatbuffers

    buffers = model.buffers
    model.buffers = [AlignedBuffer(buffer.data) for buffer in buffers]
    try:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())
    finally:
        model.buffers = buffers


def separate_constants(model: Any) -> None:
    """Give every constant a buffer of its own.

    The quantizer writes through shared buffers: of two signatures whose ranges differ, the second
    would leave its biases to the first.
    """
    for tensor in (tensor for subgraph in model.subgraphs for tensor in subgraph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            model.buffers.append(model.buffers[0].__class__())
            model.buffers[-1].data = data
            tensor.buffer = len(model.buffers) - 1


def share_constants(model: Any) -> None:
    """Let constants of equal bytes be one buffer, and drop the buffers that nobody reads.

    Two signatures of one file then share their weights.
    """
    first: dict[bytes, int] = {}
    kept: list[Any] = [model.buffers[0]]  # the schema keeps buffer 0 empty
    for tensor in (tensor for subgraph in model.subgraphs for tensor in subgraph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is None or not len(data):
            tensor.buffer = 0
            continue
        tensor.buffer = first.setdefault(bytes(data), len(kept))
        if tensor.buffer == len(kept):
            kept.append(model.buffers[0].__class__())
            kept[-1].data = data
    for entry in model.metadata or []:
        kept.append(model.buffers[entry.buffer])
        entry.buffer = len(kept) - 1
    model.buffers = kept


def check_complete(content: bytes) -> None:
    """Raise ArtifactError unless every constant of the file lies inside it.

    Standard library only, since a board has no more. tflite-runtime reads past the end of a cut
    file and takes the process down, so this comes first.
    """
    if content[4:8] != IDENTIFIER:
        raise ArtifactError("no .tflite file: the identifier TFL3 is missing")
    try:
        for start, size in _extents(content):
            if start + size > len(content):
                raise ArtifactError(
                    f"cut off: it has {len(content):,} bytes and needs at least {start + size:,}"
                )
    except struct.error as error:
        raise ArtifactError(f"cut off: it has only {len(content):,} bytes") from error


#: Places of vectors in the schema's Model table, and of data in its Buffer table.
MODEL_VECTORS = {"operator_codes": 1, "subgraphs": 2, "buffers": 4}
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 0, 1, 2


def _extents(content: bytes) -> list[tuple[int, int]]:
    """(start, bytes) of every constant and of every table that the model's vectors point to."""
    root = _read("<I", content, 0)
    extents = []
    for name, place in MODEL_VECTORS.items():
        for table in _tables(content, root, place):
            extents.append((table, 4))
            if name == "buffers":
                extents += _data(content, table)
    return extents


def _tables(content: bytes, table: int, place: int) -> list[int]:
    """Positions of the tables in a vector field of a table."""
    field = _field(content, table, place)
    if not field:
        return []
    vector = field + _read("<I", content, field)
    entries = range(vector + 4, vector + 4 + 4 * _read("<I", content, vector), 4)
    return [entry + _read("<I", content, entry) for entry in entries]


def _data(content: bytes, buffer: int) -> list[tuple[int, int]]:
    """Where a Buffer's bytes lie: inside the flatbuffer, or behind it."""
    inside = _field(content, buffer, BUFFER_DATA)
    if inside:
        vector = inside + _read("<I", content, inside)
        return [(vector + 4, _read("<I", content, vector))]
    behind, size = (_field(content, buffer, place) for place in (BUFFER_OFFSET, BUFFER_SIZE))
    if behind and size:
        return [(_read("<Q", content, behind), _read("<Q", content, size))]
    return []


def _field(content: bytes, table: int, place: int) -> int:
    """Position of a table's field, 0 where it is absent."""
    entries = table - _read("<i", content, table)
    if 4 + 2 * place >= _read("<H", content, entries):
        return 0
    offset = _read("<H", content, entries + 4 + 2 * place)
    return table + offset if offset else 0


def _read(form: str, content: bytes, position: int) -> int:
    if position < 0:
        raise struct.error("position before the start")
    return int(struct.unpack_from(form, content, position)[0])
