"""One file of `atpn-parity`: which reference it belongs to, and what every interpreter says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from atpn_deploy.errors import ArtifactError, AtpnError
from atpn_deploy.golden import Golden, load_golden
from atpn_deploy.weights import open_checkpoint, shipped
from atpn_exporters.opening import Artifact, identify
from atpn_exporters.references import golden_for
from atpn_exporters.verification import Verification, cross_check, verify_file


@dataclass(frozen=True)
class ParityRequest:
    """What to hold the files against; None leaves it to the file's own metadata."""

    weights: Path | None = None
    model: str | None = None
    target: str | None = None
    runtime: str = "auto"


@dataclass(frozen=True)
class ParityResult:
    """One file: what was found, or why it could not be compared."""

    path: Path
    verifications: tuple[Verification, ...]
    error: str = ""

    @property
    def ok(self) -> bool:
        """True if at least one interpreter ran it and none found it off."""
        ran = [v for v in self.verifications if not v.not_run]
        return not self.error and bool(ran) and all(v.ok for v in ran)

    @property
    def exit_status(self) -> int:
        """0 within the limits, 1 off, 2 not compared."""
        return 2 if self.error else int(not self.ok)


def check(path: Path, request: ParityRequest) -> ParityResult:
    """Compare one file; an AtpnError becomes the result's error, so that the others still run."""
    try:
        artifact = identify(path, request.target)
        golden = reference_for(artifact, request)
        signature = str(artifact.metadata.get("signature", "full"))
        first = "auto" if request.runtime == "all" else request.runtime
        found = verify_file(artifact.target, path, signature, golden, runtime=first)
        if request.runtime == "all" and path.suffix == ".tflite":
            opened = "full" if signature == "both" else signature
            others = ("litert", "tflite-runtime", "tensorflow")
            found += tuple(cross_check(artifact.target, path, golden, others, opened))
    except AtpnError as error:
        return ParityResult(path, (), str(error))
    return ParityResult(path, found)


def reference_for(artifact: Artifact, request: ParityRequest) -> Golden:
    """The golden crops with the outputs that this file must meet."""
    if request.weights is not None:
        return _computed(request.weights.resolve())
    if request.model is not None:
        return load_golden(shipped(request.model).sha256)
    if not artifact.checkpoint_sha256:
        raise ArtifactError(
            f"{artifact.path} does not say which checkpoint it was made from; "
            "name it with --model NAME or --weights FILE"
        )
    return load_golden(artifact.checkpoint_sha256)


@lru_cache(maxsize=4)
def _computed(weights: Path) -> Golden:
    """The reference of a user's checkpoint, once for all files of a command."""
    return golden_for(open_checkpoint(weights))
