"""One file bisected: which checkpoint it belongs to, on which crops, what is written about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.config import CONFIGS
from atpn_deploy.errors import ArtifactError, ExportError, MissingToolError, UnsupportedError
from atpn_deploy.golden import load_inputs
from atpn_deploy.weights import Checkpoint, open_checkpoint, shipped
from atpn_exporters.bisect.measure import Damage, Error, Examination, Finding, examine
from atpn_exporters.opening import by_suffix
from atpn_exporters.registry import TARGETS

if TYPE_CHECKING:
    from atpn_exporters.target import Target

#: Golden faces that a file is held against: more change no ranking and take their time.
CROPS = 6
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

    def draw(self) -> Path:
        """Write the plot beside the file as PNG and SVG; returns the PNG's path.

        Raises MissingToolError without matplotlib, ExportError where it can't be written.
        """
        from atpn_deploy.evaluation.plots import save
        from atpn_exporters.bisect.plot import figure

        return save(figure(self), self.path.parent, f"{self.path.name}.bisect")[0]


def bisect(
    path: Path,
    weights: Path | None = None,
    on_layer: Callable[[int, int], None] = lambda done, count: None,
) -> BisectReport:
    """Hold every layer of a file against the checkpoint that it was made from.

    `weights` is the user's own checkpoint; without it the file's own word says which shipped one it
    is. Raises an AtpnError, in one line, for a file or a checkpoint that is missing, foreign or
    damaged, a format whose layers can't be told apart, and tools that are not installed.
    """
    target = by_suffix(path)
    if target.dissect is None:
        able = sorted({t.suffix for t in TARGETS.values() if t.dissect is not None})
        raise UnsupportedError(
            f"the layers of a {target.suffix} file can't be looked at one by one; "
            f"export the same network as {' or '.join(able)} and bisect that"
        )
    target.require()
    metadata = target.read_metadata(path)
    made_from = str(metadata.get("checkpoint_sha256", ""))
    checkpoint = open_checkpoint(weights) if weights else _found(path, made_from)
    signature = str(metadata.get("signature", "")) or None
    report = _examined(
        path, target, checkpoint, "full" if signature == "both" else signature, on_layer
    )
    if made_from and made_from != checkpoint.sha256:
        note = f"the file says that it was made from another checkpoint, {made_from[:12]}..."
        report = replace(report, notes=(note,))
    return report


def _found(path: Path, sha256: str) -> Checkpoint:
    """The shipped checkpoint of that hash."""
    if not sha256:
        raise ArtifactError(
            f"{path} does not say which checkpoint it was made from; name it with --weights FILE"
        )
    for name in CONFIGS:
        checkpoint = shipped(name)
        if checkpoint.sha256 == sha256:
            return checkpoint
    raise ArtifactError(
        f"{path} was made from the checkpoint {sha256[:12]}..., which is not one that is shipped "
        f"({', '.join(CONFIGS)}); name it with --weights FILE"
    )


def _examined(
    path: Path,
    target: Target,
    checkpoint: Checkpoint,
    signature: str | None,
    on_layer: Callable[[int, int], None],
) -> BisectReport:
    try:
        from atpn_exporters.bisect.reference import Network
        from atpn_exporters.module_names import called_names_of

        model = checkpoint.load()
    except ImportError as error:
        raise MissingToolError(f"the reference needs PyTorch: {target.pip_line}") from error
    if target.dissect is None:
        raise UnsupportedError(f"{target.name} can't be bisected")
    file = target.dissect(path, signature, called_names_of(model))
    names, images = golden_faces(CROPS)
    computed = "full" if len(file.outputs) > 1 else "align"
    examination = examine(Network(model, computed, images), file, images, on_layer)
    return BisectReport(
        path, checkpoint.name, checkpoint.sha256, computed, file.runtime, names, examination
    )


def golden_faces(count: int) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Names and crops (count, 112, 112, 3) of golden faces, spread over all of them."""
    golden = load_inputs()
    faces = np.flatnonzero(golden.faces)
    chosen = faces[np.linspace(0, len(faces) - 1, count).round().astype(int)]
    return tuple(golden.names[index] for index in chosen), golden.images[chosen]


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
