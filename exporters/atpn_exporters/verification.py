"""Run a file on the golden crops and hold it against the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import SIGNATURES
from atpn_deploy.errors import ArtifactError, MissingToolError, UnsupportedError
from atpn_deploy.golden import Golden, KernelGolden, load_kernel_golden
from atpn_deploy.parity import Limit, Row, compare
from atpn_exporters.artifact_files import sha256_of
from atpn_exporters.session import Session, SessionOptions
from atpn_exporters.target import Target, signatures_of

#: Against the recorded outputs of the same file on the same family of kernels.
KERNEL_LIMITS = (
    Limit("landmarks", "max", 1e-3, "px", "integer arithmetic up to the last addition"),
    # The heat map is float and is quantised again: an instruction set that rounds its root the
    # other way moves single cells by one step, and that reaches the two branches.
    Limit("pose", "max", 1.0, "degree", "single cells of the heat map may round the other way"),
    Limit("confidence", "max", 0.02, "probability", "as for pose"),
)
#: Where the file's outputs themselves are integers.
KERNEL_STEPS = "integer arithmetic throughout: equal bit by bit within one family of kernels"


@dataclass(frozen=True)
class Verification:
    """What one interpreter made of a file."""

    runtime: str
    family: str  # of kernels
    rows: tuple[Row, ...]
    kernel_rows: tuple[Row, ...]  # against the int8 golden of this family; empty if none fits
    varies: bool  # do the outputs depend on the input at all?
    not_run: str = ""  # why this interpreter could not run the file

    @property
    def ok(self) -> bool:
        """True if something was compared and every row is within its limit."""
        rows = (*self.rows, *self.kernel_rows)
        return bool(self.rows) and self.varies and all(row.ok for row in rows)

    @property
    def complaint(self) -> str:
        """The first thing wrong, as a sentence; empty if nothing is."""
        if self.not_run:
            return self.not_run
        bad = next((row for row in (*self.rows, *self.kernel_rows) if not row.ok), None)
        if bad is None and not self.varies:
            return "the outputs do not vary with the input: the file always says the same"
        if bad is None:
            return ""
        return (
            f"{bad.output} is off by {bad.error:.3g} {bad.unit} ({bad.statistic} over "
            f"{bad.scope}), the limit is {bad.limit:.3g}"
        )


def run_all(session: Session, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """(N, 112, 112, 3) one by one to outputs (N, ...) by contract name."""
    rows = [session.run({"image": image[None]}) for image in images]
    return {
        name: np.concatenate([np.asarray(row[name]) for row in rows])
        for name in session.output_names
    }


@dataclass(frozen=True)
class Computed:
    """What one interpreter made of the golden crops, here or on a device."""

    runtime: str
    family: str  # of kernels
    outputs: Mapping[str, NDArray[np.float32]]  # by contract name, (N, ...), in its order
    steps: Mapping[str, float]  # see `Session.steps`


def verify(
    session: Session,
    golden: Golden,
    limits: tuple[Limit, ...],
    kernel_golden: KernelGolden | None = None,
    *,
    signature: str = "full",
) -> Verification:
    """Run every golden crop and compare; ArtifactError if an output of the signature is absent."""
    hold_names(session.output_names, signature)
    outputs = run_all(session, golden.images)
    computed = Computed(session.runtime, session.kernel_family, outputs, session.steps)
    return judge(computed, golden, limits, kernel_golden)


def hold_names(names: tuple[str, ...], signature: str) -> None:
    """ArtifactError unless these are the outputs of the signature."""
    expected = tuple(spec.name for spec in SIGNATURES[signature])
    if names != expected:
        raise ArtifactError(
            f"the file computes {', '.join(names) or 'nothing'}; signature {signature!r} is "
            f"{', '.join(expected)}"
        )


def judge(
    computed: Computed,
    golden: Golden,
    limits: tuple[Limit, ...],
    kernel_golden: KernelGolden | None = None,
) -> Verification:
    """Hold what was computed against the reference, and against what these kernels gave before."""
    actual, steps = computed.outputs, computed.steps
    rows = compare(actual, golden.outputs, limits, golden.faces)
    kernel_rows: list[Row] = []
    if kernel_golden is not None:
        kernel_limits = [
            replace(limit, value=0.0, unit="step", reason=KERNEL_STEPS)
            if limit.output in steps
            else limit
            for limit in KERNEL_LIMITS
        ]
        scaled = {name: _in_steps(array, steps.get(name)) for name, array in actual.items()}
        expected = {
            name: _in_steps(array, steps.get(name)) for name, array in kernel_golden.outputs.items()
        }
        kernel_rows = compare(scaled, expected, kernel_limits, golden.faces)
    varies = all(bool(np.any(array != array[:1])) for array in actual.values())
    return Verification(computed.runtime, computed.family, tuple(rows), tuple(kernel_rows), varies)


def _in_steps(array: NDArray[Any], step: float | None) -> NDArray[np.float64]:
    """Whole quantisation steps where the output is stored as integers, else the values."""
    values = np.asarray(array, np.float64)
    return values if step is None else np.rint(values / step)


def cross_check(
    target: Target,
    path: Path,
    golden: Golden,
    runtimes: Iterable[str],
    signature: str,
) -> list[Verification]:
    """Verify on every other interpreter that is installed; what it cannot run is said by name."""
    results = []
    for runtime in runtimes:
        try:
            with target.load(path, SessionOptions(runtime=runtime, signature=signature)) as session:
                results.append(verify(session, golden, target.limits, signature=signature))
        except (MissingToolError, UnsupportedError) as error:
            results.append(Verification(runtime, "", (), (), True, not_run=str(error)))
    return results


def verify_file(
    target: Target, path: Path, signature: str, golden: Golden, *, runtime: str
) -> tuple[Verification, ...]:
    """Hold every signature of a file against the reference."""
    sha256 = sha256_of(path)
    results = []
    for name in signatures_of(signature):
        with target.load(path, SessionOptions(runtime=runtime, signature=name)) as session:
            kernel = load_kernel_golden(sha256, session.kernel_family)
            results.append(verify(session, golden, target.limits, kernel, signature=name))
    return tuple(results)
