"""A .tflite's bytes to objects and back, its tensors in the file and aligned."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError
from atpn_deploy.tflite_bytes import IDENTIFIER, check_complete, read_content

#: What TFLite's schema asks of a buffer's data, for SIMD loads.
ALIGNMENT = 16


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
