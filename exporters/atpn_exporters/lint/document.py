"""Write docs/lint.md from the rules: `python -m atpn_exporters.lint.document docs/lint.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from atpn_exporters.arithmetic import Fault
from atpn_exporters.lint.rules import RULES
from atpn_exporters.registry import TARGETS

OPENING = """\
# The linter

    atpn-export --lint --format tflite --quantize int8     # say what int8 will hurt, export nothing
    atpn-export --lint --format all --quantize all --weights mine.safetensors --calibration crops

It runs the folded network over the calibration crops (`--calibration DIR`) or the golden ones and
looks at every operator's ranges and weights. `atpn-export` runs it before it quantises: what it
finds stands in the report (`lint`) and does not stop the export; the parity check decides that. All
places with their measured values are in the JSON.

This page is written from the rules by `python -m atpn_exporters.lint.document docs/lint.md`.
"""
RECORDS = """\
## What the targets' records say

Which operators lack an int8 kernel, which rows of operators some hardware computes wrongly and how
many transposes a format needs are fields of each target's record (`Target.arithmetic`). A target
that is not listed computes in float32.

| target | activations | no int8 kernel for | transposes needed |
|---|---|---|---|
"""


def page() -> str:
    """docs/lint.md."""
    parts = [OPENING]
    for rule in RULES:
        looks = (rule.check.__doc__ or "").strip()
        parts.append(
            f"## {rule.id}: {rule.name}\n\n{rule.sentence}\n\n"
            f"**Looks for:** {looks[0].lower()}{looks[1:]}\n\n**Fix:** {rule.fix}\n"
        )
    return "\n".join([*parts, RECORDS + _records()])


def _records() -> str:
    """A row a target, then every fault with its source."""
    lines: list[str] = []
    faults: dict[Fault, list[str]] = {}
    for target in TARGETS.values():
        arithmetic = target.arithmetic
        if arithmetic.int8 or arithmetic.half:
            kinds = [word for word in ("int8", "half") if getattr(arithmetic, word)]
            lines.append(
                f"| {target.name} | {' and '.join(kinds).replace('half', 'float16')} "
                f"| {', '.join(sorted(arithmetic.no_int8_kernel)) or '-'} "
                f"| {arithmetic.transposes} |"
            )
        for fault in arithmetic.faults:
            faults.setdefault(fault, []).append(target.name)
    for fault, names in faults.items():
        chain = " before ".join(fault.chain)
        lines.append(f"\n{', '.join(names)}: {chain}, rank {fault.rank}: {fault.fact}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page to the path given."""
    Path(sys.argv[1]).write_text(page())


if __name__ == "__main__":
    main()
