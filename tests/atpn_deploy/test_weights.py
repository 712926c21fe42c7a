"""Checkpoints: a round trip, and everything that is no checkpoint refused without running it."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from atpn_deploy.config import ATPN_LITE_CONFIG, ATPNConfig
from atpn_deploy.errors import WeightsError
from atpn_deploy.model import ATPN
from atpn_deploy.weights import CONFIG_KEY, open_checkpoint, predictor, save_state, shipped

Reference = Callable[[str | ATPNConfig], ATPN]
CONFIG = {CONFIG_KEY: json.dumps(ATPN_LITE_CONFIG.to_dict())}


@pytest.fixture
def path(tmp_path: Path, reference: Reference) -> Path:
    """A sound checkpoint without a card."""
    file = tmp_path / "mine.safetensors"
    save_state(reference("atpn-lite"), file)
    return file


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], object], **metadata: str) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=CONFIG | metadata)


def write_card(path: Path, content: str) -> None:
    path.with_suffix(".json").write_text(content)


def refused(path: Path, said: str) -> None:
    with pytest.raises(WeightsError, match=said) as caught:
        open_checkpoint(path).load()
    assert path.stem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_saved_is_loaded(path: Path, reference: Reference) -> None:
    checkpoint = open_checkpoint(path)
    loaded, saved = checkpoint.load(), reference("atpn-lite")
    assert (checkpoint.config, checkpoint.name) == (saved.config, "atpn-lite")
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.training
    expected = saved.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_saving_twice_gives_the_same_bytes(path: Path, reference: Reference) -> None:
    before = path.read_bytes()
    save_state(reference("atpn-lite"), path)
    assert path.read_bytes() == before


def test_a_card_that_vouches_for_the_bytes_is_read(path: Path) -> None:
    card = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "nme_percent": 5.6}
    write_card(path, json.dumps(card))
    assert open_checkpoint(path).card == card


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (json.dumps({"sha256": "0" * 64}), r"vouches for 000000000000"),
        (json.dumps({"name": "atpn"}), "no 'sha256'"),
        ("{}", "no 'sha256'"),
        ("[1]", "no 'sha256'"),
        ("{", "not JSON"),
    ],
)
def test_a_card_that_does_not_vouch_for_the_bytes_refuses_them(
    path: Path, card: str, said: str
) -> None:
    write_card(path, card)
    refused(path, said)


def test_one_changed_byte_is_found_by_the_card(path: Path) -> None:
    content = bytearray(path.read_bytes())
    write_card(path, json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    content[-1000] ^= 1
    path.write_bytes(content)
    refused(path, "vouches for")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.safetensors", "does not exist")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 500, 20_000, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused(path: Path, kept: float) -> None:
    content = path.read_bytes()
    length = int(len(content) * kept) if 0 < kept < 1 else int(kept)
    path.write_bytes(content[:length])
    refused(path, "truncated|not safetensors")


def test_bytes_after_the_end_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "truncated")


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"<!doctype html><html></html>" * 20,
        bytes(1000),
        (16).to_bytes(8, "little") + b"[1, 2, 3]       ",
        (48).to_bytes(8, "little") + b'{"a": {"data_offsets": [0]}}'.ljust(48),
        (24).to_bytes(8, "little") + b'{"__metadata__": [1]}'.ljust(24),
    ],
    ids=["png", "html", "zeros", "list", "offsets", "metadata"],
)
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "safetensors|no 'atpn_config'")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200), framed=st.booleans())
def test_any_bytes_at_all_give_one_clear_line(tmp_path: Path, content: bytes, framed: bool) -> None:
    file = tmp_path / "fuzz.safetensors"
    file.write_bytes(len(content).to_bytes(8, "little") + content if framed else content)
    refused(file, "fuzz.safetensors")


class Trap:
    """Writes a file when unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sprung,)


@pytest.mark.parametrize("form", ["torch zip", "torch legacy", "protocol 2", "protocol 4", "zip"])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, form: str) -> None:
    file, sprung = tmp_path / "trap.safetensors", tmp_path / "sprung"
    trap = {"state_dict": Trap(sprung)}
    if form.startswith("torch"):
        torch.save(trap, file, _use_new_zipfile_serialization=form == "torch zip")
    elif form == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(trap))
    else:
        file.write_bytes(pickle.dumps(trap, protocol=int(form[-1])))
    refused(file, "pickled PyTorch checkpoint")
    assert not sprung.exists()


@pytest.mark.parametrize("low_byte", [0x80, 0x50])
def test_a_header_length_that_looks_like_a_pickle_is_none(path: Path, low_byte: int) -> None:
    """0x80 opens a pickle, 0x50 0x4b a zip; one header length in 32 begins with the former."""
    for padding in range(0, 4096, 8):
        rewrite(path, lambda tensors: None, note="x" * padding)
        if path.read_bytes()[0] == low_byte:
            break
    assert path.read_bytes()[0] == low_byte
    assert open_checkpoint(path).load().config == ATPN_LITE_CONFIG


def test_a_missing_tensor_is_refused(path: Path) -> None:
    rewrite(path, lambda tensors: tensors.pop("low.stem.conv.weight"))
    refused(path, "lacks low.stem.conv.weight and has nothing besides")


def test_an_extra_tensor_is_refused(path: Path) -> None:
    rewrite(path, lambda tensors: tensors.update(ema=torch.zeros(1)))
    refused(path, "has ema besides")


def test_a_wrong_shape_is_refused(path: Path) -> None:
    rewrite(path, lambda t: t.update({"pose.head.linear.bias": torch.zeros(4)}))
    refused(path, r"pose.head.linear.bias has shape \(4,\), expected \(3,\)")


def test_a_wrong_type_is_refused(path: Path) -> None:
    rewrite(path, lambda t: t.update({"pose.head.linear.bias": torch.zeros(3).half()}))
    refused(path, "pose.head.linear.bias is torch.float16")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_refused(path: Path, bad: float) -> None:
    rewrite(path, lambda t: t["alignment.head.linear.weight"].view(-1)[-1:].fill_(bad))
    refused(path, "alignment.head.linear.weight holds NaN or infinity")


def test_tensors_without_a_config_are_refused(path: Path) -> None:
    save_file(load_file(path), path)
    refused(path, "no 'atpn_config' in its header")


@pytest.mark.parametrize(
    "config",
    ["{", "[]", '"atpn"', "{}", json.dumps(ATPN_LITE_CONFIG.to_dict() | {"landmark_count": 5})],
)
def test_a_config_that_is_none_is_refused(path: Path, config: str) -> None:
    save_file(load_file(path), path, metadata={CONFIG_KEY: config})
    refused(path, "mine.safetensors: ")


def test_weights_of_another_network_are_refused(path: Path) -> None:
    other = json.dumps(ATPN_LITE_CONFIG.to_dict() | {"squeeze_excite": True})
    save_file(load_file(path), path, metadata={CONFIG_KEY: other})
    refused(path, "and [0-9]+ more")


@pytest.mark.parametrize("name", ["atpn-lite", "atpn"])
def test_the_shipped_weights_have_a_card_and_load(name: str) -> None:
    checkpoint = shipped(name)
    assert checkpoint.card["sha256"] == checkpoint.sha256
    assert checkpoint.load().config.name == name


def test_a_predictor_batches_and_keeps_the_order(reference: Reference) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (5, 112, 112, 3), np.uint8)
    predict = predictor(reference("atpn-lite"), batch=2)
    outputs = predict(crops)
    assert outputs["landmarks"].shape == (5, 98, 2)
    for index in range(5):
        alone = predict(crops[index : index + 1])
        np.testing.assert_allclose(outputs["pose"][index], alone["pose"][0], atol=1e-3)
