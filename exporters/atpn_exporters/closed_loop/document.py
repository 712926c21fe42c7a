"""Closed loops as plain values, for --json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from atpn_exporters.closed_loop.rules import Comparison
from atpn_exporters.closed_loop.run import LoopResult


def loop_document(video: str, results: Sequence[LoopResult]) -> dict[str, Any]:
    """All files of one video; what is not a finite number is null."""
    return {"video": video, "files": [_file(result) for result in results]}


def _file(result: LoopResult) -> dict[str, Any]:
    seen = result.comparison
    return {
        "file": str(result.path),
        "ok": result.ok,
        "error": result.error,
        "runtime": result.runtime,
        "reference": result.reference,
        "rules": [
            {
                "rule": verdict.rule.name,
                "unit": verdict.rule.unit,
                "measured": _number(verdict.value),
                "limit": verdict.limit,
                "ok": verdict.ok,
                "reason": verdict.rule.reason,
            }
            for verdict in result.verdicts
        ],
        "measured": None if seen is None else _measured(seen),
    }


def _measured(seen: Comparison) -> dict[str, Any]:
    """The comparison's fields by their own names, of each gap whether it is a loss."""
    values: dict[str, Any] = _finite(dataclasses.asdict(seen))
    for gap, described in zip(seen.gaps, values["gaps"], strict=True):
        described["lost"] = gap.lost
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
