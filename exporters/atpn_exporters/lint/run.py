"""Lint a checkpoint for a target in the converters' child process; read what it found."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atpn_exporters.lint.evidence import Evidence, gather
from atpn_exporters.lint.finding import Case, Finding, broken
from atpn_exporters.lint.rules import RULES
from atpn_exporters.target import Target

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN


def lint_model(model: ATPN, signature: str, crops: Path, target: Target, output: Path) -> None:
    """Write what `target` would suffer from as JSON; `crops` is an .npy of (N, 112, 112, 3).

    Needs PyTorch and no converter; the rule on transposes wants a converted graph and is left to
    `with_transposes`.
    """
    evidence = _evidence(model, signature, crops)
    findings = broken(RULES, Case(evidence, target.arithmetic))
    output.write_text(json.dumps([finding.to_dict() for finding in findings]))


@lru_cache(maxsize=2)
def _evidence(model: ATPN, signature: str, crops: Path) -> Evidence:
    """One observation for all targets of a command."""
    from atpn_deploy.folding import FoldedATPN

    part = "align" if signature == "align" else "full"
    return gather(FoldedATPN(model, part), np.load(crops, allow_pickle=False))


def read_findings(path: Path) -> tuple[Finding, ...]:
    """What `lint_model` wrote."""
    return tuple(Finding.from_dict(values) for values in json.loads(path.read_text()))


def with_transposes(
    findings: tuple[Finding, ...], target: Target, transposes: int
) -> tuple[Finding, ...]:
    """The findings and, in its place, the one on the transposes of the converted graph."""
    nothing = Evidence({}, {}, 0)
    found = broken(RULES, Case(nothing, target.arithmetic, transposes))
    return tuple(sorted((*findings, *found), key=lambda finding: finding.rule))
