"""The child process that runs the converters: what they print, leak or crash stays in it.

`python -m atpn_exporters.worker REQUEST.json` does the tasks of the request in order and writes one
JSON event a line to the standard output that it was given; everything the converters themselves
print goes to standard error, which the parent keeps in a log.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from atpn_deploy.errors import AtpnError

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN


@dataclass(frozen=True)
class Task:
    """One thing to do.

    `export` or `lint` a target, `calibrate` a format, compute the `reference`, or rank modules by
    what int8 makes of them (`sensitivity`).
    """

    kind: str
    output: str  # the file to write
    target: str = ""  # export, calibrate: a target (for calibrate, of the format meant)
    signature: str = "full"
    metadata: Mapping[str, Any] | None = None  # export
    float_modules: tuple[str, ...] = ()  # export: what a recipe leaves in float


@dataclass(frozen=True)
class Request:
    """Tasks on one checkpoint."""

    checkpoint: str
    workspace: str
    tasks: tuple[Task, ...]
    calibration: str = ""  # cache to quantise with
    crops: str = ""  # .npy of crops to calibrate on, to compute the reference of, or to lint with

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Request:
        """Read `save` back."""
        values = json.loads(path.read_text())
        values["tasks"] = tuple(
            Task(**{**task, "float_modules": tuple(task["float_modules"])})
            for task in values["tasks"]
        )
        return cls(**values)


def perform(request: Request, events: TextIO) -> None:
    """Do the tasks; an AtpnError of one is reported and the next is tried."""
    from atpn_deploy.weights import open_checkpoint

    checkpoint = open_checkpoint(Path(request.checkpoint))
    model = checkpoint.load()
    for index, task in enumerate(request.tasks):
        started = time.monotonic()
        _tell(events, event="start", task=index)
        try:
            _perform_one(request, task, model, checkpoint.sha256, events)
        except AtpnError as error:
            _tell(events, event="failed", task=index, error=str(error))
            continue
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        seconds = time.monotonic() - started
        _tell(events, event="done", task=index, seconds=seconds, peak_bytes=peak)


def _perform_one(
    request: Request, task: Task, model: ATPN, checkpoint_sha256: str, events: TextIO
) -> None:
    from atpn_deploy.weights import predictor
    from atpn_exporters.calibration import load_calibration
    from atpn_exporters.registry import TARGETS
    from atpn_exporters.target import ExportJob, signatures_of

    output = Path(task.output)
    if task.kind == "reference":
        outputs = predictor(model.double())(np.load(request.crops, allow_pickle=False))
        np.savez(output, allow_pickle=False, **outputs)
        return
    target = TARGETS[task.target]
    if task.kind == "lint":
        from atpn_exporters.lint.run import lint_model

        lint_model(model, task.signature, Path(request.crops), target, output)
        return
    job = ExportJob(model, task.signature, task.metadata or {}, Path(request.workspace))
    if task.kind == "calibrate":
        _calibrate(request, task, job, events)
        return
    if target.calibrated:
        cache = load_calibration(Path(request.calibration), checkpoint_sha256)
        ranges = cache.for_signatures(target.format, signatures_of(task.signature))
        job = replace(job, ranges=ranges, float_modules=task.float_modules)
    if task.kind == "sensitivity":
        from atpn_exporters.recipes.sensitivity import write_ranking

        write_ranking(job, target, Path(request.crops), output)
        return
    if task.float_modules:
        from atpn_exporters.module_names import called_names_of
        from atpn_exporters.recipes.recipe import check_modules

        check_modules(task.float_modules, frozenset(called_names_of(model)))
    target.export(job, output)


def _calibrate(request: Request, task: Task, job: Any, events: TextIO) -> None:
    """Observe both halves of the crops and write {"halves": [ranges, ranges]}."""
    from atpn_exporters.registry import TARGETS

    observe = TARGETS[task.target].observe
    if observe is None:
        raise ValueError(f"{task.target} is not calibrated")
    crops = np.load(request.crops, allow_pickle=False)
    # Every other crop, so that a sorted folder does not put one kind of face into each half.
    halves = [observe(job, crops[start::2]) for start in (0, 1)]
    Path(task.output).write_text(json.dumps({"halves": halves}))


def _tell(events: TextIO, **event: Any) -> None:
    events.write(json.dumps(event) + "\n")
    events.flush()


def main() -> None:
    """Run the request named on the command line."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # converters print; the event stream must hold nothing else
    perform(Request.read(Path(sys.argv[1])), events)


if __name__ == "__main__":
    main()
