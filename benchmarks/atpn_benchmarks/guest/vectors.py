"""Crop, tracker and filter where the guest is: what the vectors say of them, hashes of crops."""

from __future__ import annotations

import hashlib
from typing import Any

from atpn_deploy.crop import Box, cut
from atpn_deploy.tracking.vectors import MISMATCHES, pattern, read_vectors


def outcome() -> dict[str, Any]:
    """Plain values: how many cases by kind, what does not hold, SHA-256 of each crop by name."""
    cases = {name: read_vectors(name)["cases"] for name in MISMATCHES}
    return {
        "cases": {name: len(some) for name, some in cases.items()},
        "mismatches": [
            line for name, some in cases.items() for case in some for line in MISMATCHES[name](case)
        ],
        "crops": {case["name"]: _hash(case) for case in cases["crop"]},
    }


def _hash(case: dict[str, Any]) -> str:
    crop = cut(pattern(*case["image"]), Box(*case["box"]))
    return hashlib.sha256(crop.tobytes()).hexdigest()
