"""ATPN in PyTorch to the bytes of a .pte: one method a signature, everything given to XNNPACK."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from atpn_deploy.contract import IMAGE, SIGNATURES
from atpn_deploy.errors import ExportError
from atpn_exporters.executorch_file import FACTS, outputs_method
from atpn_exporters.target import ExportJob, signatures_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule

    from atpn_deploy.model import ATPN


@contextmanager
def executorch_at_work(what: str) -> Iterator[None]:
    """Silence the toolchain's warnings and turn its failures into one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"ExecuTorch could not {what}: {reason}") from error


def traced(model: ATPN, signature: str) -> GraphModule:
    """The network of one signature as a graph of PyTorch operators."""
    import torch

    from atpn_exporters.executorch_network import delegable

    with executorch_at_work("trace the network"), torch.no_grad():
        program = torch.export.export(delegable(model, signature), _samples())
        return program.module()


def program_bytes(
    job: ExportJob, prepared: Callable[[GraphModule, str], GraphModule] | None = None
) -> bytes:
    """The file of the job's signatures; `prepared` may quantise a graph, given its signature.

    Equal weights of two methods are stored once. The facts and the names of each method's outputs
    are methods that return a text. Raises ExportError with the toolchain's reason.
    """
    import torch

    programs = {}
    for signature in signatures_of(job.signature):
        graph = traced(job.model, signature)
        if prepared is not None:
            graph = prepared(graph, signature)
        with executorch_at_work("export the graph"), torch.no_grad():
            programs[signature] = torch.export.export(graph, _samples())
    with executorch_at_work("lower the graph"):
        return _lowered(programs, _texts(job))


def _samples() -> tuple[Any, ...]:
    import torch

    return (torch.full(IMAGE.shape, 127.0),)


def _texts(job: ExportJob) -> dict[str, str]:
    """What the constant methods return."""
    names = {
        outputs_method(signature): ",".join(spec.name for spec in SIGNATURES[signature])
        for signature in signatures_of(job.signature)
    }
    return {**names, FACTS: json.dumps(dict(job.metadata), sort_keys=True)}


def _lowered(programs: Mapping[str, ExportedProgram], texts: Mapping[str, str]) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(
        dict(programs),
        partitioner={signature: [XnnpackPartitioner()] for signature in programs},
        constant_methods=dict(texts),
    )
    return bytes(edge.to_executorch().buffer)
