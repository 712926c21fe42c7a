"""`atpn-export --lint`: the linter alone, on what would be exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import ExportError
from atpn_deploy.golden import load_inputs
from atpn_exporters.calibration import crops_from_folder
from atpn_exporters.converters import raise_failure, run_tasks
from atpn_exporters.lint.finding import Finding
from atpn_exporters.lint.run import read_findings, with_transposes
from atpn_exporters.planning import LINT, ExportPlan, staging_folder
from atpn_exporters.progress import Listener, Step
from atpn_exporters.registry import float_twin
from atpn_exporters.target import Target
from atpn_exporters.worker import Request, Task

#: What one command found, by target.
Linted = Mapping[str, tuple[Finding, ...]]


def lint(plan: ExportPlan, listener: Listener) -> Linted:
    """Lint every target of the plan over its calibration folder's crops, or the golden ones.

    Each format is converted to float once, for its transposes. Raises an AtpnError if a toolchain
    is absent or fails.
    """
    for target in plan.targets:
        target.require()
    twins = {target.format: float_twin(target) for target in plan.targets}
    labels = [f"convert to float {format_}" for format_ in twins]
    listener.plan([Step(LINT, 5.0), *(Step(label, 20.0) for label in labels)])
    folder = plan.calibration_folder
    crops = load_inputs().images if folder is None else crops_from_folder(folder)
    with staging_folder(plan.output) as workspace:
        stored = workspace / "crops.npy"
        np.save(stored, crops)
        results = {t.name: workspace / f"{t.name}.json" for t in plan.targets}
        floats = {f: workspace / f"float-{f}{twin.suffix}" for f, twin in twins.items()}
        tasks = [Task("lint", str(results[t.name]), t.name, plan.signature) for t in plan.targets]
        # A format that cannot hold two signatures is as good as its larger one here.
        tasks += [
            Task("export", str(floats[f]), twin.name, _held(plan, twin), {})
            for f, twin in twins.items()
        ]

        def follow(index: int, event: dict[str, Any]) -> None:
            raise_failure(index, event)
            if event["event"] == "start":
                listener.begin(LINT if index < len(results) else labels[index - len(results)])

        checkpoint = str(plan.checkpoint.path)
        request = Request(checkpoint, str(workspace), tuple(tasks), crops=str(stored))
        run_tasks(request, workspace / "converters.log", follow)
        found = {f: twin.inspect(floats[f]).transposes for f, twin in twins.items()}
        return {
            t.name: with_transposes(read_findings(results[t.name]), t, found[t.format])
            for t in plan.targets
        }


def _held(plan: ExportPlan, target: Target) -> str:
    """The signature that one file of the target can hold of those asked for."""
    return plan.signature if plan.signature in target.signatures else "full"


def save(linted: Linted, path: Path) -> None:
    """Write all findings as JSON, by target."""
    plain = {name: [f.to_dict() for f in findings] for name, findings in linted.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain, indent=2) + "\n")
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error
