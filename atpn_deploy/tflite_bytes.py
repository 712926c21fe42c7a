"""Whether the bytes of a .tflite are all there, read with the standard library alone."""

from __future__ import annotations

import struct
from pathlib import Path

from atpn_deploy.errors import ArtifactError

#: Bytes 4 to 8 of every .tflite.
IDENTIFIER = b"TFL3"


def read_content(path: Path) -> bytes:
    """The bytes of a .tflite that is there, or raise ArtifactError."""
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; expected a .tflite file")
    return path.read_bytes()


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
