"""The report of an export: what was made, what it holds, and how far it is from the reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atpn_exporters.lint.finding import Finding
from atpn_exporters.speed import Speed
from atpn_exporters.target import GraphFacts
from atpn_exporters.verification import Verification

#: Raised when a field of the JSON report changes its meaning.
REPORT_VERSION = 1


@dataclass(frozen=True)
class ExportReport:
    """One exported and verified file."""

    path: Path
    target: str
    model: str
    signature: str
    size_bytes: int
    sha256: str
    facts: GraphFacts
    verifications: tuple[Verification, ...]
    speed: Speed | None
    speed_verdict: str
    warnings: tuple[str, ...]
    metadata: Mapping[str, Any]  # what the file says of itself
    seconds: float
    peak_bytes: int
    findings: tuple[Finding, ...] = ()  # of the linter

    @property
    def json_path(self) -> Path:
        """The report beside the file."""
        return self.path.with_name(self.path.name + ".json")

    def to_dict(self) -> dict[str, Any]:
        """Plain values; every limit with its reason, every speed sample kept."""
        return {
            "report_version": REPORT_VERSION,
            "file": self.path.name,
            "target": self.target,
            "model": self.model,
            "signature": self.signature,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "scheme": self.facts.scheme,
            "operators": dict(self.facts.operators),
            "float_operators": dict(self.facts.float_operators),
            "transposes": self.facts.transposes,
            "xnnpack_partitions": self.facts.partitions,
            "undelegated_operators": dict(self.facts.undelegated),
            "parity": [verification_dict(v) for v in self.verifications],
            "speed_verdict": self.speed_verdict,  # also says why a file is not timed
            "speed": None
            if self.speed is None
            else {
                "verdict": self.speed_verdict,
                "ratio": self.speed.ratio,
                "interval_95": self.speed.interval,
                "quantised_s": self.speed.quantised_s,
                "float_s": self.speed.float_s,
            },
            "warnings": list(self.warnings),
            "lint": [finding.to_dict() for finding in self.findings],
            "metadata": dict(self.metadata),
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
        }

    def save(self, path: Path) -> None:
        """Write the JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")


def verification_dict(verification: Verification) -> dict[str, Any]:
    """One interpreter's rows as plain values."""
    return {
        "runtime": verification.runtime,
        "kernel_family": verification.family,
        "ok": verification.ok,
        "complaint": verification.complaint,
        "not_run": verification.not_run,
        "outputs_vary": verification.varies,
        "rows": [{**asdict(row), "ok": row.ok} for row in verification.rows],
        "kernel_golden_rows": [{**asdict(row), "ok": row.ok} for row in verification.kernel_rows],
    }
