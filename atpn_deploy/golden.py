"""Golden tensors: crops and what the reference makes of them, refused if a byte has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.errors import GoldenError


@dataclass(frozen=True)
class Golden:
    """N crops with the reference's outputs for one checkpoint."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]  # (N, 112, 112, 3)
    faces: NDArray[np.bool_]  # (N,) does the crop show a face?
    outputs: Mapping[str, NDArray[np.float32]]  # by contract name, (N, ...)


@dataclass(frozen=True)
class KernelGolden:
    """What one quantised file gave on one family of kernels: to be met again, nearly bit by bit."""

    artifact_sha256: str
    outputs: Mapping[str, NDArray[np.float32]]


def golden_folder() -> Path:
    """Where the golden tensors lie: in an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "golden_data", package.parent / "golden"):
        if (folder / "manifest.json").is_file():
            return folder
    raise GoldenError(f"no golden tensors beside {package}; reinstall atpn-deploy")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The birth certificate, after every file named in it has been checked against its sha256."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    for name, sha256 in manifest["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise GoldenError(f"{path} is missing; see golden/README.md")
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise GoldenError(f"{path} is not the file in manifest.json; see golden/README.md")
    return manifest


def load_inputs(folder: Path | None = None) -> Golden:
    """The golden crops alone, for a reference that is computed on the spot."""
    where = folder or golden_folder()
    return _inputs(where, read_manifest(where))


def _inputs(where: Path, manifest: dict[str, Any]) -> Golden:
    """The crops of a folder whose manifest has been checked."""
    return Golden(
        tuple(crop["name"] for crop in manifest["crops"]),
        np.load(where / "images.npy", allow_pickle=False),
        np.array([crop["face"] for crop in manifest["crops"]]),
        {},
    )


def load_golden(checkpoint_sha256: str, folder: Path | None = None) -> Golden:
    """The golden crops and the reference outputs of the checkpoint with that hash."""
    where = folder or golden_folder()
    manifest = read_manifest(where)
    models = manifest["models"]
    name = next((n for n, m in models.items() if m["checkpoint_sha256"] == checkpoint_sha256), None)
    if name is None:
        raise GoldenError(
            f"there are no golden outputs for the checkpoint {checkpoint_sha256[:12]}...; "
            "give your own with --weights FILE, and the reference is computed from it"
        )
    inputs = _inputs(where, manifest)
    outputs = {
        spec.name: np.load(where / name / f"{spec.name}.npy", allow_pickle=False)
        for spec in OUTPUTS
    }
    return Golden(inputs.names, inputs.images, inputs.faces, outputs)


def load_kernel_golden(
    artifact_sha256: str, family: str, folder: Path | None = None
) -> KernelGolden | None:
    """What exactly this file gave on this family of kernels, or None if that was not recorded."""
    where = folder or golden_folder()
    for entry in read_manifest(where)["kernel_goldens"]:
        if entry["artifact_sha256"] == artifact_sha256 and entry["family"] == family:
            with np.load(where / entry["file"], allow_pickle=False) as archive:
                return KernelGolden(artifact_sha256, {n: archive[n] for n in archive.files})
    return None
