"""From the network to a .mlpackage: one function a signature, compressed, two of them joined."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atpn_deploy.errors import CalibrationError
from atpn_exporters.coreml_compress import (
    palettize_weights,
    quantize_activations,
    quantize_weights,
)
from atpn_exporters.coreml_convert import coremltools_at_work, float_package, save
from atpn_exporters.target import ExportJob, Ranges, signatures_of

#: Bits of an index into a palette.
PALETTES = {"palette8": 8, "palette6": 6, "palette4": 4}
QUANTIZATIONS = ("fp32", "fp16", "int8", *PALETTES, "w8a8")
#: Both functions in one file and a palette for some channels came with iOS 18; quantised
#: activations with iOS 17, which is asked for otherwise, so that one app needs one minimum.
NEEDS_IOS18 = ("palette4",)


def export(job: ExportJob, path: Path, quantization: str) -> None:
    """Write one flavour to `path`: the job's signature, or `align` and `full` of one program."""
    newest = job.signature == "both" or quantization in NEEDS_IOS18
    with TemporaryDirectory(dir=job.workspace) as folder:
        models = {
            signature: _compressed(job, signature, quantization, newest)
            for signature in signatures_of(job.signature)
        }
        with coremltools_at_work(f"write {quantization}"):
            if len(models) > 1:
                save(_joined(models, Path(folder)), job.metadata, path)
            else:
                save(models[job.signature], job.metadata, path)


def _compressed(job: ExportJob, signature: str, quantization: str, newest: bool) -> Any:
    """coremltools' model of one signature; CalibrationError without the ranges that it needs."""
    precision = "fp32" if quantization == "fp32" else "fp16"
    source = float_package(job.model, signature, precision, job.workspace, newest=newest)
    with coremltools_at_work(f"make {quantization}"):
        from coremltools.models import MLModel

        model = MLModel(str(source), skip_model_load=True)
        if quantization in PALETTES:
            return palettize_weights(model, PALETTES[quantization])
        if quantization == "int8":
            return quantize_weights(model)
        if quantization == "w8a8":
            # Every weight: a layer computes in int8 only if both of its factors are int8.
            return quantize_weights(quantize_activations(model, _ranges(job, signature)), 1)
        return model


def _ranges(job: ExportJob, signature: str) -> Ranges:
    if signature not in job.ranges:
        raise CalibrationError(
            f"no calibration ranges for the signature {signature!r}; "
            "make them from crops of your own with --calibration DIR"
        )
    return job.ranges[signature]


def _joined(models: dict[str, Any], folder: Path) -> Any:
    """One model of a function a signature, equal weights stored once; it is kept in `folder`."""
    from coremltools.models import MLModel
    from coremltools.models.utils import MultiFunctionDescriptor, save_multifunction

    descriptor = MultiFunctionDescriptor()
    for signature, model in models.items():
        part = folder / f"{signature}.mlpackage"
        save(model, {}, part)
        descriptor.add_function(str(part), "main", signature)
    descriptor.default_function_name = "full"
    together = folder / "together.mlpackage"
    save_multifunction(descriptor, str(together))
    return MLModel(str(together), skip_model_load=True)
