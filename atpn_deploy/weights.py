"""Checkpoints: safetensors with a model card, read strictly, never unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.config import ATPNConfig, config_named
from atpn_deploy.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

#: Key of the config in a checkpoint's safetensors header.
CONFIG_KEY = "atpn_config"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose bytes are those its model card vouches for."""

    path: Path
    sha256: str
    config: ATPNConfig
    card: dict[str, Any]  # empty for a user's own checkpoint without a card

    @property
    def name(self) -> str:
        """The name that its exported files carry."""
        return self.config.name

    @property
    def calibration_path(self) -> Path:
        """Where its calibration cache lies."""
        return self.path.with_suffix(".calibration.json")

    def load(self) -> ATPN:
        """Build the network and fill it; every tensor must fit, be present and be finite."""
        return _load(self)


def shipped(name: str) -> Checkpoint:
    """The checkpoint that comes with the package: `atpn-lite` or `atpn`."""
    config_named(name)  # a wrong name is refused with the choices
    folder = Path(str(resources.files("atpn_deploy").joinpath("checkpoints")))
    return open_checkpoint(folder / f"{name}.safetensors")


def open_checkpoint(path: Path) -> Checkpoint:
    """Identify a checkpoint and check its bytes against the card beside it, where there is one.

    Raises WeightsError for a file that is missing, truncated, pickled, not safetensors, without a
    config, or not the one that `<name>.json` beside it describes.
    """
    if not path.is_file():
        raise WeightsError(f"{path} does not exist; expected a .safetensors checkpoint")
    content = path.read_bytes()
    header = _header(path, content)
    sha256 = hashlib.sha256(content).hexdigest()
    card = _card(path.with_suffix(".json"))
    if card and card["sha256"] != sha256:
        raise WeightsError(
            f"{path} has sha256 {sha256[:12]}..., but {path.stem}.json beside it vouches for "
            f"{str(card['sha256'])[:12]}...; restore the file, or remove the card if the "
            "checkpoint is your own"
        )
    written = header.get("__metadata__", {}).get(CONFIG_KEY)
    if written is None:
        raise WeightsError(
            f"{path} holds tensors but no {CONFIG_KEY!r} in its header, so it is no ATPN "
            "checkpoint; write it with atpn_deploy.weights.save_state"
        )
    try:
        config = ATPNConfig.from_dict(json.loads(written))
    except (ConfigError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return Checkpoint(path, sha256, config, card)


def _card(path: Path) -> dict[str, Any]:
    """The model card, or nothing where there is none; one without a hash vouches for nothing."""
    if not path.is_file():
        return {}
    try:
        card: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is no model card: it is not JSON ({error})") from error
    if not isinstance(card, dict) or "sha256" not in card:
        raise WeightsError(f"{path} is no model card: it has no 'sha256'; restore or remove it")
    return card


def _header(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON header of a safetensors file; says what the file is when it is something else."""
    # The length that opens a safetensors file can begin with the bytes of a zip or a pickle;
    # the brace after it tells.
    if content[8:9] != b"{" and (content[:4] == b"PK\x03\x04" or content[:1] == b"\x80"):
        raise WeightsError(
            f"{path} is a pickled PyTorch checkpoint, which could run code when read; convert it "
            "where you trust it: safetensors.torch.save_file(model.state_dict(), ...)"
        )
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise WeightsError(
            f"{path} is truncated or not safetensors: {len(content):,} bytes, header of {length:,}"
        )
    try:
        header: dict[str, Any] = json.loads(content[8 : 8 + length])
        ends = [int(t["data_offsets"][1]) for n, t in header.items() if n != "__metadata__"]
        header.get("__metadata__", {}).get(CONFIG_KEY)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is not a safetensors file: its header is damaged") from error
    expected = 8 + length + max(ends, default=0)
    if len(content) != expected:
        raise WeightsError(f"{path} is truncated: {len(content):,} bytes of {expected:,}")
    return header


def _load(checkpoint: Checkpoint) -> ATPN:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from atpn_deploy.model import ATPN

    model = ATPN(checkpoint.config)
    try:
        tensors = load_file(checkpoint.path)
    except SafetensorError as error:
        raise WeightsError(f"{checkpoint.path} is damaged: {error}") from error
    expected = model.state_dict()
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        raise WeightsError(
            f"{checkpoint.path} does not fit {checkpoint.name}: it lacks {_few(missing)} and has "
            f"{_few(extra)} besides"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{checkpoint.path}: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
        if tensor.dtype != expected[name].dtype:
            raise WeightsError(
                f"{checkpoint.path}: {name} is {tensor.dtype}, expected {expected[name].dtype}"
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{checkpoint.path}: {name} holds NaN or infinity")
    model.load_state_dict(tensors)
    return model.eval()


def _few(names: list[str]) -> str:
    """At most three names, then how many more."""
    if not names:
        return "nothing"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def save_state(model: ATPN, path: Path) -> None:
    """Write the model's tensors, its config in the header."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    header = {CONFIG_KEY: json.dumps(model.config.to_dict(), sort_keys=True)}
    save_file(tensors, path, metadata=header)


def predictor(
    model: ATPN, batch: int = 64
) -> Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]:
    """The model as a function of (N, 112, 112, 3) uint8 crops to the contract's outputs.

    It computes in the precision of the model's weights and returns float32: `model.double()` gives
    a reference that no rounding of its own moves.
    """
    import torch

    model.eval()
    precision = next(model.parameters()).dtype

    def predict(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            rows = [
                model(torch.from_numpy(crops[i : i + batch]).to(precision))
                for i in range(0, len(crops), batch)
            ]
        return {name: torch.cat([row[name] for row in rows]).float().numpy() for name in rows[0]}

    return predict
