"""ATPN in PyTorch to ncnn's text and weights, through a TorchScript trace and pnnx."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from atpn_deploy.contract import CROP_SIDE, IMAGE, SIGNATURES
from atpn_deploy.errors import ExportError, MissingToolError
from atpn_exporters.ncnn_graph import Layer, parse
from atpn_exporters.ncnn_package import BIN, PARAM
from atpn_exporters.target import ExportJob

#: What pnnx writes beside what is wanted, by its option; all of it stays in a folder of its own.
BY_PRODUCTS = {
    "pnnxparam": "graph.pnnx.param",
    "pnnxbin": "graph.pnnx.bin",
    "pnnxpy": "graph_pnnx.py",
    "pnnxonnx": "graph.pnnx.onnx",
    "ncnnpy": "graph_ncnn.py",
}
#: pnnx takes two seconds.
LIMIT_S = 300


def converted(job: ExportJob) -> tuple[tuple[Layer, ...], bytes]:
    """(layers, float32 weights) of the job's signature, blobs named as the contract names tensors.

    ncnn computes no more than what is asked of it, so `both` is `full`: its landmarks alone cost
    what an `align` file costs. Raises ExportError with the toolchain's reason.
    """
    signature = "full" if job.signature == "both" else job.signature
    with TemporaryDirectory(dir=job.workspace, prefix="ncnn-") as folder:
        _trace(job, signature, Path(folder) / "traced.pt")
        _run_pnnx(Path(folder))
        text = (Path(folder) / PARAM).read_text()
        weights = (Path(folder) / BIN).read_bytes()
    names = {f"out{i}": spec.name for i, spec in enumerate(SIGNATURES[signature])}
    layers = renamed(parse(text), {"in0": IMAGE.name, **names})
    if foreign := sorted(
        {layer.kind for layer in layers if "." in layer.kind or ":" in layer.kind}
    ):
        raise ExportError(
            f"pnnx left {', '.join(foreign)} in the graph, which ncnn does not have: rewrite that "
            "layer in ncnn_network.py"
        )
    return layers, weights


def _trace(job: ExportJob, signature: str, path: Path) -> None:
    import torch

    from atpn_exporters.ncnn_network import PlanarATPN

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's age
        sample = torch.full((1, 3, CROP_SIDE, CROP_SIDE), 127.0)
        network = PlanarATPN(job.model, signature)
        traced = torch.jit.trace(network, sample, check_trace=False)  # type: ignore[no-untyped-call]
        traced.save(str(path))


def pnnx_binary() -> Path:
    """The converter itself. Not its Python package: that runs a program which pnnx has written."""
    spec = find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise MissingToolError(
            "pnnx is not installed: pip install -c constraints.txt 'atpn-deploy[ncnn]'"
        )
    return Path(spec.origin).parent / ("pnnx.exe" if os.name == "nt" else "pnnx")


def _run_pnnx(folder: Path) -> None:
    """Convert folder/traced.pt; the converter works in that folder and has nothing but it."""
    outputs = {**BY_PRODUCTS, "ncnnparam": PARAM, "ncnnbin": BIN}
    command = [
        str(pnnx_binary()),
        "traced.pt",
        f"inputshape=[1,3,{CROP_SIDE},{CROP_SIDE}]f32",
        "fp16=0",  # it would cut mantissas off and small numbers to zero: see `halved`
        *(f"{option}={name}" for option, name in outputs.items()),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"pnnx did not run: {error}") from error
    missing = [name for name in (PARAM, BIN) if not (folder / name).is_file()]
    if done.returncode or missing:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1] if lines else "it said nothing"
        raise ExportError(f"pnnx ended with status {done.returncode}: {last}")


def renamed(layers: tuple[Layer, ...], names: Mapping[str, str]) -> tuple[Layer, ...]:
    """The layers with some blobs called otherwise; ExportError if one is not there."""
    made = {name for layer in layers for name in layer.outputs}
    if absent := sorted(set(names) - made):
        raise ExportError(f"pnnx made no blob {', '.join(absent)}; report it with your weights")
    return tuple(
        replace(
            layer,
            inputs=tuple(names.get(name, name) for name in layer.inputs),
            outputs=tuple(names.get(name, name) for name in layer.outputs),
            name=names.get(layer.name, layer.name) if layer.kind == "Input" else layer.name,
        )
        for layer in layers
    )
