"""PyTorch to a float .tflite with litert-torch, once per weights and signature."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from atpn_deploy.contract import IMAGE, SIGNATURES
from atpn_deploy.errors import ConfigError, ExportError
from atpn_exporters.tflite_flatbuffer import pack, unpack
from atpn_exporters.tflite_names import rename

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

#: `both` puts every signature of the contract into one file; their weights are shared.
BOTH = "both"


def signatures_in(signature: str) -> tuple[str, ...]:
    """The contract's signatures that a file asked for as align, full or both holds."""
    if signature == BOTH:
        return tuple(SIGNATURES)
    if signature not in SIGNATURES:
        raise ConfigError(
            f"no signature is called {signature!r}; choose one of {', '.join((*SIGNATURES, BOTH))}"
        )
    return (signature,)


def float_file(model: ATPN, signature: str, workspace: Path) -> Path:
    """The float .tflite of `model`, converted unless `workspace` has it already.

    Input (1, 112, 112, 3) float32 by the name `image`, outputs float32 by contract name. Raises
    ExportError with the toolchain's reason if the conversion fails.
    """
    path = workspace / f"tflite-float-{signature}-{_digest(model)}.tflite"
    if not path.is_file():
        unfinished = path.with_suffix(".unfinished")
        _convert(model, signatures_in(signature), unfinished)
        unfinished.replace(path)
    return path


def _digest(model: ATPN) -> str:
    """A short hash of the weights and the config, so that a workspace can hold several models."""
    digest = hashlib.sha256(repr(model.config).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _convert(model: ATPN, signatures: tuple[str, ...], path: Path) -> None:
    """Trace, lower and write; the converter's progress lines and warnings are not shown."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = _lowered(model, signatures)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"litert-torch could not convert {model.config.name}: {reason}"
        ) from error
    converted = unpack(content)
    rename(converted)
    path.write_bytes(pack(converted))


def _lowered(model: ATPN, signatures: tuple[str, ...]) -> bytes:
    """The converter's own file."""
    import litert_torch
    import torch

    from atpn_deploy.folding import FoldedATPN

    converter = litert_torch.Converter()
    for name in signatures:
        sample = torch.full(IMAGE.shape, 127.0)
        converter.add_signature(name, FoldedATPN(model, name), sample_kwargs={IMAGE.name: sample})
    return bytes(converter.convert().model_content())
