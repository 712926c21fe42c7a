"""What a run is to time: our files, held to their reference, and peers beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from atpn_benchmarks.guest.peer_session import OPENERS
from atpn_benchmarks.results import Row
from atpn_deploy.errors import ArtifactError, AtpnError
from atpn_deploy.golden import Golden
from atpn_exporters.artifact_files import sha256_of, size_bytes
from atpn_exporters.opening import identify
from atpn_exporters.parity_run import ParityRequest, reference_for
from atpn_exporters.registry import TARGETS
from atpn_exporters.target import Target, signatures_of

#: A few words on a peer lie beside it, such as faceland98.bench.json.
DESCRIPTION = ".bench.json"


#: How formats are written; ncnn and whatever comes next stay as they are.
WRITTEN = {"tflite": "TFLite", "onnx": "ONNX", "coreml": "Core ML", "executorch": "ExecuTorch"}

#: The same for all, so that a list of them is short.
NEVER = "never exported: atpn-export --format all --quantize all makes every file"


@dataclass(frozen=True)
class Candidate:
    """One line of the result before anything was run: `row` already says why if nothing will be."""

    row: Row
    path: Path | None = None
    golden: Golden | None = None  # None for a peer, which has no reference
    #: Shapes of a peer's inputs that its file leaves open.
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether the device is to time it."""
        return not self.row.reason


def ours(files: Sequence[Path], request: ParityRequest) -> list[Candidate]:
    """Each signature of each file; a file that can't be used becomes a line with the reason."""
    found: list[Candidate] = []
    for path in files:
        try:
            found += _of_file(path, request)
        except AtpnError as error:
            found.append(Candidate(_refused(path, str(error), peer=False), path))
    return found


def exported(folder: Path, request: ParityRequest) -> list[Candidate]:
    """What lies in `folder`, then a line for every registered target that was never exported.

    Raises ArtifactError where there is no file at all.
    """
    suffixes = {target.suffix for target in TARGETS.values()}
    files = sorted(path for path in folder.glob("*") if path.suffix in suffixes)
    if not files:
        raise ArtifactError(
            f"{folder} holds no exported file; make some with atpn-export --format tflite "
            f"--quantize all --output {folder}, or name files: atpn-bench FILE..."
        )
    found = ours(files, request)
    there = {candidate.row.target for candidate in found}
    return found + [_never_exported(t) for t in TARGETS.values() if t.name not in there]


def peers(folder: Path) -> list[Candidate]:
    """Every .onnx and .tflite of a folder, with what a NAME.bench.json beside it says.

    Raises ArtifactError for a folder without one.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in OPENERS)
    if not files:
        raise ArtifactError(f"{folder} holds no peer; expected {' or '.join(OPENERS)} files")
    return [_peer(path) for path in files]


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same with names that differ: files of one name in two folders show the folder too."""
    names = [candidate.row.name for candidate in candidates]
    told = []
    for candidate in candidates:
        row = candidate.row
        if names.count(row.name) > 1 and candidate.path is not None:
            row = replace(row, name=f"{candidate.path.parent.name}/{row.name}")
        told.append(replace(candidate, row=row))
    return told


def _of_file(path: Path, request: ParityRequest) -> list[Candidate]:
    artifact = identify(path, request.target)
    target, metadata = artifact.target, artifact.metadata
    whole = str(metadata.get("signature", "full"))
    model = str(metadata.get("model", "?"))
    reason = target.why_untimed
    golden = None if reason else reference_for(artifact, request)
    found = []
    for signature in signatures_of(whole):
        part = "" if signature == whole else f":{signature}"
        row = Row(
            name=f"{path.name}{part}",
            title=f"{model} {_written(target.format)} {target.quantization}"
            + (" align" if signature == "align" else ""),
            target=target.name,
            model=model,
            signature=signature,
            peer=False,
            state="not run",
            reason=reason,
            sha256=artifact.sha256,
            size_bytes=size_bytes(path),
        )
        found.append(Candidate(row, path, golden))
    return found


def _peer(path: Path) -> Candidate:
    try:
        described = _description(path.with_suffix(DESCRIPTION))
        size = size_bytes(path)
    except AtpnError as error:
        return Candidate(_refused(path, str(error), peer=True), path)
    model = str(described.get("title", path.stem))
    row = Row(
        name=path.name,
        title=f"{model} {_written(path.suffix[1:])}",
        target="",
        model=model,
        signature="",
        peer=True,
        state="not run",
        sha256=sha256_of(path),
        size_bytes=size,
    )
    shapes = {name: tuple(shape) for name, shape in described.get("shapes", {}).items()}
    return Candidate(row, path, shapes=shapes)


def _description(path: Path) -> dict[str, Any]:
    """A peer's title and open shapes; empty without a file, ArtifactError for a damaged one."""
    if not path.exists():
        return {}
    expected = f'{path} should be {{"title": "...", "shapes": {{"input": [1, 3, 112, 112]}}}}'
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{expected}; it can't be read: {error}") from error
    if not isinstance(values, dict) or not values.keys() <= {"title", "shapes"}:
        raise ArtifactError(f"{expected}; it holds {values!r:.100}")
    shapes = values.get("shapes", {})
    if not isinstance(shapes, dict) or not all(
        isinstance(shape, list) and all(isinstance(n, int) and n > 0 for n in shape)
        for shape in shapes.values()
    ):
        raise ArtifactError(f"{expected}; its shapes are {shapes!r:.100}")
    return values


def _refused(path: Path, reason: str, *, peer: bool) -> Row:
    return Row(path.name, path.name, "", path.stem, "", peer, "failed", reason)


def _never_exported(target: Target) -> Candidate:
    reason = target.why_untimed or NEVER
    title = f"{_written(target.format)} {target.quantization}"
    return Candidate(Row(target.name, title, target.name, "", "", False, "not run", reason))


def _written(format_: str) -> str:
    return WRITTEN.get(format_, format_)
