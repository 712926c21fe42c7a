"""The time of every operator of a file, whichever runtime runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from atpn_benchmarks.operators import litert_times, onnxruntime_times
from atpn_benchmarks.operators.operator_profile import OperatorProfile
from atpn_benchmarks.results import OperatorTime
from atpn_deploy.errors import ArtifactError, UnsupportedError

#: Rounds of five runs each with and without a profiler: a second or so for a network like ours.
ROUNDS = 40

#: Suffix to the kernels that its files can run on, the usual first.
KERNELS: Mapping[str, tuple[str, ...]] = {
    ".tflite": ("xnnpack", "builtin"),
    ".onnx": ("onnxruntime",),
}


def profile(
    path: Path,
    signature: str | None = None,
    rounds: int = ROUNDS,
    kernels: str | None = None,
    threads: int = 1,
) -> OperatorProfile:
    """Time the operators of one signature by its runtime's own clock.

    `kernels` None takes the usual ones of the format. Raises UnsupportedError for a format whose
    runtime tells nothing of its operators, ArtifactError for a file that does not run.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; expected {' or '.join(KERNELS)}")
    if path.suffix not in KERNELS:
        raise UnsupportedError(
            f"{path}: the runtime of {path.suffix or 'such'} files does not time operators in "
            f"Python; expected {' or '.join(KERNELS)}"
        )
    chosen = kernels or KERNELS[path.suffix][0]
    if chosen not in KERNELS[path.suffix]:
        raise UnsupportedError(
            f"{path} does not run on {chosen} kernels; choose {' or '.join(KERNELS[path.suffix])}"
        )
    if path.suffix == ".onnx":
        return onnxruntime_times.profile(path, rounds, threads)
    return litert_times.profile(path, signature, rounds, chosen, threads)


def time_operators(
    path: Path, signature: str | None = None, rounds: int = ROUNDS
) -> tuple[OperatorTime, ...]:
    """The rows of `profile` on one thread and the usual kernels."""
    return profile(path, signature, rounds).operators
