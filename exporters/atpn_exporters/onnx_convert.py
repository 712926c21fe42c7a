"""ATPN in PyTorch to a float32 .onnx model, and how any .onnx model is written to disk."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from atpn_deploy.contract import IMAGE, SIGNATURES
from atpn_deploy.errors import ExportError, UnsupportedError
from atpn_exporters.onnx_session import METADATA_KEY
from atpn_exporters.target import ExportJob

if TYPE_CHECKING:
    import onnx

    from atpn_deploy.model import ATPN

#: The oldest operator set that has every operator of ATPN (HardSwish came with 14); old runtimes
#: read it, and newer ones would give the same nodes.
OPSET = 17


def float_model_path(job: ExportJob) -> Path:
    """The float32 .onnx of the job's signature, converted once per workspace.

    Its tensor names are those that calibration ranges are keyed by. Raises UnsupportedError for
    `both` and ExportError if PyTorch's exporter or the simplifier fails.
    """
    if job.signature not in SIGNATURES:
        raise UnsupportedError(
            f"an .onnx file has one signature and no {job.signature!r}; "
            f"choose --signature {' or '.join(sorted(SIGNATURES))}"
        )
    path = job.workspace / f"onnx-float-{_fingerprint(job.model)}-{job.signature}.onnx"
    if not path.exists():
        aside = path.with_suffix(".part")
        write(convert(job.model, job.signature), aside, {})
        os.replace(aside, path)
    return path


def _fingerprint(model: ATPN) -> str:
    """Which tensors these are, so that two models can share a workspace."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def convert(model: ATPN, signature: str) -> onnx.ModelProto:
    """Trace the folded network, simplify the graph and strip what names the machine.

    The tracing exporter and not the one on torch.export: the two files run equally fast and agree
    to the last bit, but traced nodes carry the module's path (`/low/stem/conv/Conv`), the operator
    set reaches older runtimes, and it takes a tenth of the time.
    """
    import onnx
    import onnxsim
    import torch

    from atpn_deploy.folding import FoldedATPN

    folded = FoldedATPN(model, signature)
    try:
        with TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # "use dynamo=True", see above
            traced = Path(folder, "traced.onnx")
            torch.onnx.export(
                folded,
                (torch.zeros(IMAGE.shape),),
                traced,
                input_names=[IMAGE.name],
                output_names=[spec.name for spec in SIGNATURES[signature]],
                opset_version=OPSET,
                dynamo=False,
            )
            simplified, same = onnxsim.simplify(onnx.load(traced))
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise ExportError(f"PyTorch's ONNX exporter failed: {first_line(error)}") from error
    if not same:
        raise ExportError("onnxsim changed the results of the graph; report it with your weights")
    lift_constants(simplified)
    return strip(simplified)


def first_line(error: Exception) -> str:
    """The first line of a toolchain's message, which may have dozens."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def lift_constants(model: onnx.ModelProto) -> None:
    """Turn Constant nodes into initializers, where quantisers and readers look for them."""
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove, in place, every text that differs by machine or run: docs, paths, properties."""
    model.doc_string = model.producer_name = model.producer_version = model.domain = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name = "atpn"
    del graph.value_info[:]
    del graph.metadata_props[:]
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def write(model: onnx.ModelProto, path: Path, metadata: Mapping[str, Any]) -> None:
    """Check the model, put the facts into it and write it; equal models give equal bytes.

    Raises ExportError if the graph is not valid ONNX or the file cannot be written.
    """
    import onnx

    if metadata:
        facts = json.dumps(metadata, sort_keys=True)
        onnx.helper.set_model_props(model, {METADATA_KEY: facts})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the converted graph is not valid ONNX: {first_line(error)}") from error
    try:
        path.write_bytes(model.SerializeToString(deterministic=True))
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error
