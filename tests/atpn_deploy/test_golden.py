from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.config import CONFIGS
from atpn_deploy.errors import GoldenError
from atpn_deploy.golden import golden_folder, load_golden, load_inputs, load_kernel_golden
from atpn_deploy.weights import predictor, shipped


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(golden_folder(), tmp_path / "golden")
    return tmp_path / "golden"


def test_at_least_24_crops_faces_and_others() -> None:
    golden = load_inputs()
    assert golden.images.shape[0] >= 24
    assert golden.images.shape[1:] == (112, 112, 3)
    assert golden.images.dtype == np.uint8
    assert len(golden.names) == len(set(golden.names)) == len(golden.images)
    assert 12 <= golden.faces.sum() < len(golden.faces)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_weights_still_give_the_golden_outputs(name: str) -> None:
    checkpoint = shipped(name)
    golden = load_golden(checkpoint.sha256)
    outputs = predictor(checkpoint.load())(golden.images)
    for output, expected in golden.outputs.items():
        np.testing.assert_allclose(outputs[output], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_reference_sees_the_faces_and_only_those(name: str) -> None:
    golden = load_golden(shipped(name).sha256)
    confidence = golden.outputs["confidence"][:, 0]
    assert confidence[golden.faces].min() > 0.7
    assert confidence[~golden.faces].max() < 0.7


def test_changed_byte_is_found(copy: Path) -> None:
    path = copy / "atpn-lite" / "pose.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(GoldenError, match=r"pose\.npy is not the file in manifest\.json"):
        load_inputs(copy)


def test_missing_file_is_found(copy: Path) -> None:
    (copy / "images.npy").unlink()
    with pytest.raises(GoldenError, match=r"images\.npy is missing"):
        load_inputs(copy)


def test_foreign_checkpoint_is_told_to_bring_its_weights() -> None:
    with pytest.raises(GoldenError, match="--weights FILE"):
        load_golden("0" * 64)


def test_kernel_golden_is_keyed_by_file_and_family(copy: Path) -> None:
    entries = json.loads((copy / "manifest.json").read_text())["kernel_goldens"]
    assert entries
    sha256, family = entries[0]["artifact_sha256"], entries[0]["family"]
    assert load_kernel_golden(sha256, family, copy) is not None
    assert load_kernel_golden(sha256, "another family", copy) is None
    assert load_kernel_golden("0" * 64, family, copy) is None
