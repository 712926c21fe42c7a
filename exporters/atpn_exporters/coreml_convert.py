"""PyTorch to a float Core ML program with coremltools, once per weights and precision."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atpn_deploy.contract import CROP_SIDE, IMAGE, SIGNATURES
from atpn_deploy.errors import ExportError, UnsupportedError
from atpn_exporters.coreml_names import rename_by_module, tidy
from atpn_exporters.coreml_package import write_package

if TYPE_CHECKING:
    import torch

    from atpn_deploy.model import ATPN

#: The network within the module that is traced.
NETWORK = "network"
#: Core ML images are planar: what the program itself takes.
PLANAR = (1, 3, CROP_SIDE, CROP_SIDE)


def traced(model: ATPN, signature: str) -> torch.export.ExportedProgram:
    """The folded network of one signature as an exported program, named by module.

    Takes the image as (1, 3, 112, 112), RGB in 0..255, as Core ML hands images over; returns the
    outputs of the signature in the contract's order. Raises UnsupportedError for a signature that
    is not one network's.
    """
    import torch

    from atpn_deploy.folding import FoldedATPN

    if signature not in SIGNATURES:
        raise UnsupportedError(
            f"a Core ML function computes {' or '.join(SIGNATURES)}, not {signature!r}"
        )

    class Planar(torch.nn.Module):
        """The contract's network behind a planar image; the two transpositions cancel."""

        def __init__(self) -> None:
            super().__init__()
            self.network = FoldedATPN(model, signature)

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = self.network(image.permute(0, 2, 3, 1))
            return tuple(outputs[spec.name] for spec in SIGNATURES[signature])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(Planar().eval(), (torch.zeros(PLANAR),), strict=False)
        program: torch.export.ExportedProgram = exported.run_decompositions({})
    rename_by_module(program, NETWORK)
    return program


def float_package(
    model: ATPN, signature: str, precision: str, workspace: Path, *, newest: bool
) -> Path:
    """The float .mlpackage of one signature, converted unless `workspace` has it already.

    `precision` is fp32 or fp16, and is what the program computes in; outputs are float32 either
    way. `newest` asks for the operators of iOS 18 instead of iOS 17. Raises ExportError with the
    toolchain's reason if the conversion fails.
    """
    name = f"coreml-{signature}-{precision}-{'ios18' if newest else 'ios17'}-{_digest(model)}"
    path = workspace / f"{name}.mlpackage"
    if not path.is_dir():
        unfinished = workspace / f"{name}.unfinished.mlpackage"
        with coremltools_at_work(f"convert {model.config.name}"):
            save(_converted(model, signature, precision, newest), {}, unfinished)
        unfinished.rename(path)
    return path


def save(model: Any, facts: Mapping[str, Any], path: Path) -> None:
    """Write coremltools' model as a package whose bytes depend on nothing but the model."""
    spec = model.get_spec()
    for function in spec.mlProgram.functions.values():
        tidy(function, NETWORK)
    write_package(spec, Path(model.weights_dir, "weight.bin").read_bytes(), facts, path)


def _digest(model: ATPN) -> str:
    """A short hash of the weights and the config, so that a workspace can hold several models."""
    digest = hashlib.sha256(repr(model.config).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _converted(model: ATPN, signature: str, precision: str, newest: bool) -> Any:
    """The converter's own model, unloaded: a Mac would compile it otherwise."""
    import coremltools as ct
    import numpy as np

    return ct.convert(
        traced(model, signature),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18 if newest else ct.target.iOS17,
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        # Scale 1 and bias 0: the scaling to 0..1 is folded into the stem's weights.
        inputs=[ct.ImageType(IMAGE.name, shape=PLANAR, color_layout=ct.colorlayout.RGB)],
        # Without the type an fp16 program's outputs would be float16.
        outputs=[ct.TensorType(spec.name, dtype=np.float32) for spec in SIGNATURES[signature]],
        compute_units=ct.ComputeUnit.CPU_ONLY,
        skip_model_load=True,
    )


@contextlib.contextmanager
def coremltools_at_work(doing: str) -> Iterator[None]:
    """Without its progress bars, log lines and warnings; what it raises becomes ExportError."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    noise = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(noise),
            contextlib.redirect_stderr(noise),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
            # A converted program holds a temporary folder in a cycle; freed later, it would warn.
            gc.collect()
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        NotImplementedError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"coremltools could not {doing}: {reason}") from error
    finally:
        logging.disable(before)
