"""What a file says of itself: nothing that differs between two exports of one thing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata as distributions
from typing import Any

from atpn_deploy import __version__
from atpn_deploy.contract import describe
from atpn_deploy.weights import Checkpoint
from atpn_exporters.calibration import Manifest, manifest_facts
from atpn_exporters.target import Target

#: Distributions whose versions a file carries: they decide its bytes.
TOOLS = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxsim",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
)


def file_facts(
    checkpoint: Checkpoint,
    target: Target,
    signature: str,
    calibration: Manifest | None,
    float_modules: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Contract, checkpoint, scheme, limits, tools and calibration manifest, as plain values.

    `float_modules` are what a recipe leaves in float.
    """
    facts: dict[str, Any] = {
        # These five are also what TFLite's own metadata table shows.
        "name": f"{checkpoint.name} {target.quantization}",
        "description": target.summary,
        "version": __version__,
        "author": "atpn-deploy",
        "license": checkpoint.card.get("licence", "that of the checkpoint"),
        "contract": describe(),
        "model": checkpoint.name,
        "checkpoint_sha256": checkpoint.sha256,
        "target": target.name,
        "signature": signature,
        "limits": [
            {
                "output": limit.output,
                "statistic": limit.statistic,
                "value": limit.value,
                "unit": limit.unit,
                "scope": limit.scope,
            }
            for limit in target.limits
        ],
        "tools": tool_versions(target.tools or TOOLS),
    }
    if target.calibrated and calibration is not None:
        facts["calibration"] = manifest_facts(calibration)
    if float_modules:
        facts["float_modules"] = list(float_modules)
    return facts


def tool_versions(names: Iterable[str] = TOOLS) -> dict[str, str]:
    """Versions of the installed tools that decide the bytes of a file."""
    found = {}
    for name in names:
        try:
            found[name] = distributions.version(name)
        except distributions.PackageNotFoundError:
            continue
    return found
