"""Cut-off files: how long a video file ought to be by what its own container says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"  # Matroska and WebM begin with it
SEGMENT = b"\x18\x53\x80\x67"  # and hold everything else in one of these


def missing_bytes(path: Path) -> int:
    """How many bytes `path` lacks at its end; 0 where none, or where its kind doesn't tell.

    MP4 and MOV, Matroska and WebM, AVI and WAV write lengths before what they measure. A file that
    cannot be read lacks nothing here.
    """
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            return max(0, _promised(file, length) - length)
    except OSError:
        return 0


def _promised(file: BinaryIO, length: int) -> int:
    """Where the file's last container element ends, in bytes from its beginning."""
    head = file.read(12)
    if head[:4] == EBML:
        return _matroska(file)
    if head[:4] == b"RIFF":
        # Files over 1 GB go on with further RIFF lists, of which the first says nothing.
        return 8 + int.from_bytes(head[4:8], "little")
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes(file, length)
    return 0


def _boxes(file: BinaryIO, length: int) -> int:
    """MP4: boxes of a 32-bit length and a name; length 1 puts 64 bits after it, 0 is "the rest"."""
    start = 0
    while start + 8 <= length:
        file.seek(start)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or not head[4:8].isascii():  # the rest, or what a camera hung on behind
            return start
        start += size
    return start


def _matroska(file: BinaryIO) -> int:
    """The EBML header, then one segment; a live recording leaves the segment's length open."""
    file.seek(4)
    header, _ = _variable_length(file)
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != SEGMENT:
        return 0
    size, known = _variable_length(file)
    return file.tell() + size if known else 0


def _variable_length(file: BinaryIO) -> tuple[int, bool]:
    """EBML's number: leading zero bits count the bytes that follow; all ones mean "not known"."""
    first = file.read(1)[0:1] or b"\xff"
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return value, value != (1 << 7 * (extra + 1)) - 1
