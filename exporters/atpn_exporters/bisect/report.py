"""What a bisect has found in one file, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import ExportError
from atpn_exporters.bisect.measure import Damage, Error, Examination, Finding

#: Raised when a field of the JSON changes its meaning.
REPORT_VERSION = 1


@dataclass(frozen=True)
class BisectReport:
    """What was found in one file."""

    path: Path
    model: str
    checkpoint_sha256: str
    signature: str
    runtime: str
    crops: tuple[str, ...]  # names of the golden faces
    examination: Examination
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Finding:
        """The layer that does the most damage."""
        return self.examination.findings[0]

    @property
    def json_path(self) -> Path:
        """The report beside the file."""
        return self.path.with_name(f"{self.path.name}.bisect.json")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, layers sorted by damage; what is not finite is null."""
        whole = self.examination.whole
        return {
            "report_version": REPORT_VERSION,
            "file": self.path.name,
            "model": self.model,
            "checkpoint_sha256": self.checkpoint_sha256,
            "signature": self.signature,
            "runtime": self.runtime,
            "crops": list(self.crops),
            "notes": list(self.notes),
            "whole_file": None if whole is None else _damage_dict(whole),
            "whole_file_problem": self.examination.problem,
            "layers": [_finding_dict(finding) for finding in self.examination.findings],
        }

    def save(self) -> None:
        """Write the JSON beside the file, or raise ExportError."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        try:
            self.json_path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ExportError(f"cannot write {self.json_path}: {error.strerror}") from error


def _finding_dict(finding: Finding) -> dict[str, Any]:
    layer = finding.layer
    return {
        "layer": layer.name,
        "modules": list(layer.merged),
        "operators": list(layer.labels),
        "computing": list(layer.computing),
        "tensor": layer.output,
        "inputs": list(layer.inputs),
        "index": finding.index,
        "damage": _damage_dict(finding.damage),
        "isolated": _error_dict(finding.isolated),
        "cumulative": None if finding.cumulative is None else _error_dict(finding.cumulative),
        "steps": _finite(finding.steps),
        "beyond_rounding": finding.beyond_rounding,
        "problem": finding.problem,
    }


def _damage_dict(damage: Damage) -> dict[str, float | None]:
    return {
        "score": _finite(damage.score),
        "landmarks_px": _finite(damage.landmarks_px),
        "pose_degrees": _finite(damage.pose_degrees),
        "confidence": _finite(damage.confidence),
    }


def _error_dict(error: Error) -> dict[str, float | bool | None]:
    return {
        "largest": _finite(error.largest),
        "relative": _finite(error.relative),
        "finite": error.finite,
    }


def _finite(value: float | None) -> float | None:
    """None for what JSON has no word for."""
    return value if value is not None and np.isfinite(value) else None
