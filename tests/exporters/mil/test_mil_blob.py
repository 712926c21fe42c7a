"""The reader of blob files against Core ML's own writer, which coremltools brings compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.blob import BlobFile, packed_bytes

#: What the writer calls each type, and the NumPy type that it takes.
WRITERS = {
    "float32": ("float", np.float32),
    "float16": ("fp16", np.float16),
    "int8": ("int8", np.int8),
    "uint8": ("uint8", np.uint8),
    "int16": ("int16", np.int16),
    "uint16": ("uint16", np.uint16),
    "int32": ("int32", np.int32),
    "uint32": ("uint32", np.uint32),
    "int4": ("int4", np.int8),
    "uint1": ("uint1", np.uint8),
    "uint2": ("uint2", np.uint8),
    "uint3": ("uint3", np.uint8),
    "uint4": ("uint4", np.uint8),
    "uint6": ("uint6", np.uint8),
}
RANGES = {"int4": (-8, 7), "uint1": (0, 1), "uint2": (0, 3), "uint3": (0, 7), "uint4": (0, 15)}


@pytest.mark.parametrize("dtype", WRITERS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_type_is_read_as_it_was_written(
    new_blob: Any, dtype: str, data: st.DataObject
) -> None:
    low, high = RANGES.get(dtype, (0, 63 if dtype == "uint6" else 100))
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    word, stored = WRITERS[dtype]
    values = [rng.integers(low, high, n, endpoint=True).astype(stored) for n in lengths]
    path, writer = new_blob()
    write = getattr(writer, f"write_{word}_data")
    offsets = [write(v.view(np.uint16) if dtype == "float16" else v) for v in values]
    del writer  # closes the file

    blob = BlobFile(path)

    for offset, value in zip(offsets, values, strict=True):
        assert blob.read(offset, dtype, value.shape).tolist() == value.tolist()


def test_elements_take_the_shape_asked_for(new_blob: Any) -> None:
    path, writer = new_blob()
    offset = writer.write_float_data(np.arange(6, dtype=np.float32))
    del writer

    assert BlobFile(path).read(offset, "float32", (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_unknown_type_code_is_refused(new_blob: Any) -> None:
    path, writer = new_blob()
    offset = writer.write_float_data(np.zeros(4, np.float32))
    del writer
    content = bytearray(path.read_bytes())
    content[offset + 4] = 99
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match="type of code 99 at byte 64"):
        BlobFile(path).read(offset, "float32", (4,))


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*: Is a directory"):
        BlobFile(tmp_path)


@pytest.mark.parametrize(
    ("count", "dtype", "size"), [(5, "uint3", 2), (8, "int4", 4), (3, "float16", 6)]
)
def test_what_elements_take(count: int, dtype: str, size: int) -> None:
    assert packed_bytes(count, dtype) == size
