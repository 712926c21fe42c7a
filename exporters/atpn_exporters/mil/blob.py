"""MIL's blob file: constants one behind the other, each with a header of 64 bytes.

A file begins with a header of its own: how many constants, version 2. What is narrower than a byte
is packed, the first element in the lowest bits.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError

VERSION = 2
HEADER = struct.Struct("<II")  # number of constants, version
ENTRY = struct.Struct("<IIQQ")  # sentinel, type, bytes of data, position of data
SENTINEL = 0xDEADBEEF
#: Bytes that the file's header and each constant's header take.
HEADER_BYTES = 64

#: The file's type codes as MIL's words.
CODES = {
    1: "float16",
    2: "float32",
    3: "uint8",
    4: "int8",
    6: "int16",
    7: "uint16",
    8: "int4",
    9: "uint1",
    10: "uint2",
    11: "uint4",
    12: "uint3",
    13: "uint6",
    14: "int32",
    15: "uint32",
}
#: Types narrower than a byte, and how many bits they have.
SUB_BYTE = {"uint1": 1, "uint2": 2, "uint3": 3, "uint4": 4, "uint6": 6, "int4": 4}


class BlobFile:
    """A weight.bin; every read is checked against the file's own headers.

    Raises ArtifactError for a file that is missing, of another format or cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
        if len(self._content) < HEADER_BYTES:
            raise ArtifactError(f"{path} is cut off: it has only {len(self._content):,} bytes")
        _, version = HEADER.unpack_from(self._content)
        if version != VERSION:
            raise ArtifactError(
                f"{path} has blob format {version}; expected {VERSION}, which iOS 15 and later read"
            )

    def read(self, position: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """The constant whose header lies at `position`, in NumPy's type for `dtype`."""
        stored, start, size = self._entry(position)
        if stored != dtype:
            raise ArtifactError(
                f"{self._path} holds {stored} at byte {position:,}; the program expects {dtype}"
            )
        count = int(np.prod(shape, dtype=np.int64))
        expected = packed_bytes(count, dtype)
        if size != expected:
            raise ArtifactError(
                f"{self._path} holds {size:,} bytes at byte {position:,}; {dtype} of shape "
                f"{shape} takes {expected:,}"
            )
        return unpack(self._content[start : start + size], dtype, count).reshape(shape)

    def _entry(self, position: int) -> tuple[str, int, int]:
        """(type, start, bytes) of the constant whose header lies at `position`."""
        self._require(position, HEADER_BYTES)
        sentinel, code, size, start = ENTRY.unpack_from(self._content, position)
        if sentinel != SENTINEL:
            raise ArtifactError(f"{self._path} has no constant at byte {position:,}; it is damaged")
        if code not in CODES:
            raise ArtifactError(
                f"{self._path} stores a type of code {code} at byte {position:,}; expected one of "
                f"{', '.join(CODES.values())}"
            )
        self._require(start, size)
        return CODES[code], start, size

    def _require(self, start: int, size: int) -> None:
        if start + size > len(self._content):
            raise ArtifactError(
                f"{self._path} is cut off: it has {len(self._content):,} bytes and needs at least "
                f"{start + size:,}"
            )


def packed_bytes(count: int, dtype: str) -> int:
    """Bytes that `count` elements take."""
    if dtype in SUB_BYTE:
        return (count * SUB_BYTE[dtype] + 7) // 8
    return count * np.dtype(dtype).itemsize


def unpack(content: bytes, dtype: str, count: int) -> NDArray[Any]:
    """`count` elements; those narrower than a byte as int8 or uint8."""
    if dtype not in SUB_BYTE:
        return np.frombuffer(content, np.dtype(dtype).newbyteorder("<"), count)
    width = SUB_BYTE[dtype]
    bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
    weights = 1 << np.arange(width, dtype=np.uint8)
    values: NDArray[Any] = (bits[: count * width].reshape(count, width) * weights).sum(
        1, dtype=np.uint8
    )
    if dtype.startswith("u"):
        return values
    half = 1 << (width - 1)  # two's complement
    signed: NDArray[Any] = ((values.astype(np.int16) ^ half) - half).astype(np.int8)
    return signed
