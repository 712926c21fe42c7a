"""Every format whose files can be counted, by suffix: a table one can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.counting import (
    coreml_operators,
    executorch_operators,
    ncnn_operators,
    onnx_operators,
    tflite_operators,
)
from atpn_benchmarks.counting.graph import Graph, Vocabulary
from atpn_benchmarks.counting.modules import Naming, by_label, by_order, by_path, by_written_name
from atpn_deploy.errors import ArtifactError


@dataclass(frozen=True)
class Format:
    """How the files of one suffix are read and what their operators mean."""

    read: Callable[[Path, str | None], Graph]
    vocabulary: Vocabulary
    naming: Naming


FORMATS = {
    ".onnx": Format(onnx_operators.read, onnx_operators.VOCABULARY, by_path),
    ".tflite": Format(tflite_operators.read, tflite_operators.VOCABULARY, by_label),
    ".mlpackage": Format(coreml_operators.read, coreml_operators.VOCABULARY, by_written_name),
    ".pte": Format(executorch_operators.read, executorch_operators.VOCABULARY, by_order),
    ".ncnn": Format(ncnn_operators.read, ncnn_operators.VOCABULARY, by_order),
}


def format_of(path: Path) -> Format:
    """The format of a file; ArtifactError for one that is missing or of another suffix."""
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; expected a model file")
    if path.suffix not in FORMATS:
        raise ArtifactError(
            f"{path} ends in {path.suffix or 'nothing'!r}; expected {', '.join(FORMATS)}"
        )
    return FORMATS[path.suffix]
