"""Evaluations as JSON: the schema that other programs read, and its version."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy import __version__
from atpn_deploy.evaluation.results import Evaluation, TrackingResult, VideoFigures

#: Raised when a key changes its name or meaning, or goes; new keys leave it as it is.
SCHEMA_VERSION = 1

#: A curve of precision and recall is thinned to about so many points; its area is exact.
CURVE_POINTS = 500


def record(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """All that was measured as plain values.

    Percent, degrees, fractions and counts as their names say. What is not a number is None: JSON
    has no NaN, and a missing figure must not look like a good one.
    """
    return {
        "schema": "atpn-eval",
        "schema_version": SCHEMA_VERSION,
        "atpn_deploy": __version__,
        "evaluations": [_evaluation(evaluation) for evaluation in evaluations],
    }


def record_text(evaluations: Sequence[Evaluation]) -> str:
    """`record` as the text of a .json file."""
    return json.dumps(record(evaluations), indent=1, allow_nan=False) + "\n"


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "model": evaluation.model,
        "runtime": evaluation.runtime,
        "sha256": evaluation.sha256,
        "alignment": [_plain(asdict(result)) for result in evaluation.alignment],
        "pose": [_plain(asdict(result)) for result in evaluation.pose],
        "tracking": [_tracking(result) for result in evaluation.tracking],
        "video": [
            {
                "dataset": result.dataset,
                "categories": {name: _video(f) for name, f in result.categories.items()},
            }
            for result in evaluation.video
        ],
    }


def _tracking(result: TrackingResult) -> dict[str, Any]:
    count = len(result.recall)
    kept = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))
    return {
        "dataset": result.dataset,
        "faces": result.faces,
        "negatives": result.negatives,
        "average_precision": _plain(result.average_precision),
        "precision": _plain(result.precision[kept]),
        "recall": _plain(result.recall[kept]),
    }


def _video(figures: VideoFigures) -> dict[str, Any]:
    facts: dict[str, Any] = _plain(asdict(figures))
    return {**facts, "failure_percent": _plain(figures.failure_percent)}


def _plain(value: dict[str, Any] | NDArray[Any] | float | int | str) -> Any:
    """Dictionaries, lists, numbers and text alone; None for what is not a finite number."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value.tolist()]
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
