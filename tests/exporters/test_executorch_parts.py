"""What ExecuTorch's file is made from: substitutes equal to the network, bytes read with care."""

from __future__ import annotations

import copy
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError
from atpn_exporters.executorch_file import SEAL, read_metadata, read_methods, sealed
from atpn_exporters.flatbuffer_table import Table

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN


@pytest.mark.needs("torch")
@pytest.mark.parametrize("count", [1, 2, 5, 98])
def test_minimum_by_halves_is_the_minimum(count: int) -> None:
    import torch

    from atpn_exporters.executorch_network import least

    values = torch.randn(2, count, 3, 4, generator=torch.Generator().manual_seed(count))
    assert torch.equal(least(values), values.amin(1, keepdim=True))


@pytest.mark.needs("torch")
def test_halved_heatmap_is_the_heatmap_to_the_bit() -> None:
    import torch

    from atpn_deploy.heatmap import LandmarkHeatmap
    from atpn_exporters.executorch_network import HalvedHeatmap
    from atpn_exporters.ncnn_network import ClampedHeatmap

    heatmap = LandmarkHeatmap(0.5)
    landmarks = torch.rand(1, 98, 2, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1
    assert torch.equal(HalvedHeatmap(heatmap)(landmarks), heatmap(landmarks))
    assert torch.equal(ClampedHeatmap(heatmap)(landmarks), heatmap(landmarks))


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
def test_network_for_the_delegate_is_the_network(
    reference: Callable[[str], ATPN], name: str
) -> None:
    import torch

    from atpn_deploy.folding import FoldedATPN
    from atpn_exporters.executorch_network import delegable

    model = copy.deepcopy(reference(name)).double()  # rounding apart, nothing may differ
    image = torch.rand(1, 112, 112, 3, generator=torch.Generator().manual_seed(2)).double() * 255
    expected = FoldedATPN(model, "full").double()(image)
    actual = delegable(model, "full").double()(image)
    assert list(actual) == ["landmarks", "pose", "confidence"]
    for output, values in expected.items():
        np.testing.assert_allclose(actual[output], values, rtol=0, atol=1e-4)


@pytest.mark.needs("torch")
def test_squeeze_excite_gate_is_folded_into_its_convolution() -> None:
    import torch

    from atpn_deploy.blocks import SqueezeExcite
    from atpn_exporters.executorch_network import fold_hard_sigmoid

    torch.manual_seed(3)
    block = SqueezeExcite(24).requires_grad_(False)
    block.expand.weight *= 40  # so that both ends of the clamp are met
    x = torch.randn(8, 24, 5, 5)
    expected = block(x)
    fold_hard_sigmoid(block)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-5)
    assert bool((expected == 0).any() and (expected == x).any())


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "x.pte"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no ExecuTorch program"),
        (b"PK\x03\x04" * 20, "no ExecuTorch program: bytes 4 to 8 are b'PK"),
        (struct.pack("<I", 8) + b"ET12" + bytes(60), "no extended header"),
        (struct.pack("<I4s4sIQQQ", 48, b"ET12", b"eh00", 32, 900, 0, 0), "cut off: 40 of 900"),
        (
            struct.pack("<I4s4sIQQQ", 48, b"ET12", b"eh00", 32, 40, 64, 4000) + bytes(100),
            "cut off: 140 of 4,064 bytes",
        ),
        (
            struct.pack("<I4s4sIQQQ", 48, b"ET12", b"eh00", 32, 40, 0, 0) + bytes(100),
            "has no seal: it is cut off or not from atpn-export",
        ),
    ],
)
def test_foreign_and_cut_off_bytes_are_refused_in_one_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = written(tmp_path, content)
    for read in (read_methods, read_metadata):
        with pytest.raises(ArtifactError, match=said) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*none\.pte: No such file"):
        read_methods(tmp_path / "none.pte")


def test_sealed_nonsense_is_damaged_and_not_a_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        body = rng.integers(0, 256, 400, np.uint8).tobytes()
        head = struct.pack("<I4s4sIQQQ", 48, b"ET12", b"eh00", 32, 440, 0, 0)
        with pytest.raises(ArtifactError):
            read_methods(written(tmp_path, sealed(head + body)))


def test_seal_is_the_hash_of_all_before_it() -> None:
    assert sealed(b"program") == b"program" + SEAL + hashlib.sha256(b"program").digest()


def flatbuffer() -> bytes:
    """A root table with the fields 7 (u32), a text, nothing, and a list of the numbers 3, 4."""
    vtable = struct.pack("<HHHHHH", 12, 16, 4, 8, 0, 12)
    start = 4 + len(vtable)
    table = struct.pack("<iIII", len(vtable), 7, 8, 12)  # offsets are from where they stand
    text = struct.pack("<I", 2) + b"hi\0\0"
    numbers = struct.pack("<Iii", 2, 3, 4)
    return struct.pack("<I", start) + vtable + table + text + numbers


def test_fields_of_a_table_are_read_by_number() -> None:
    table = Table.root(flatbuffer())
    assert table.number(0) == 7
    assert table.text(1) == "hi"
    assert (table.number(2), table.text(2), table.numbers(2)) == (0, "", ())
    assert table.numbers(3) == (3, 4)
    assert table.number(9) == 0
    with pytest.raises(IndexError):
        table.table(2)


def all_fields(content: bytes) -> tuple[object, ...]:
    table = Table.root(content)
    return table.number(0), table.text(1), table.numbers(3)


@pytest.mark.parametrize("kept", range(0, 48, 3))
def test_table_that_leads_out_of_its_bytes_is_an_error_that_readers_catch(kept: int) -> None:
    content = flatbuffer()[:kept]
    with pytest.raises((struct.error, IndexError)):
        all_fields(content)
