"""How ONNX Runtime opens a file here: its CPU kernels, and no more threads than were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atpn_deploy.errors import ArtifactError

if TYPE_CHECKING:
    import onnxruntime


def open_session(content: bytes, threads: int, profile: str = "") -> onnxruntime.InferenceSession:
    """ONNX Runtime on its CPU kernels with exactly `threads` threads.

    `profile` is how the file begins that its profiler writes; "" runs without one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle workers sleep: a spinning one takes a core from whatever is measured beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised; the log would say it twice
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def open_file(path: Path, threads: int, profile: str = "") -> onnxruntime.InferenceSession:
    """`open_session` of a file, or ArtifactError in one line."""
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    try:
        return open_session(content, threads, profile)
    except (
        failures.Fail,
        failures.InvalidArgument,
        failures.InvalidGraph,
        failures.InvalidProtobuf,
        failures.NotImplemented,
        failures.RuntimeException,
        RuntimeError,
        ValueError,
    ) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ArtifactError(
            f"{path} ({len(content):,} bytes) is no .onnx file that ONNX Runtime can run, or is "
            f"truncated: {lines[0]}"
        ) from error
