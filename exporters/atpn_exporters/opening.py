"""Open a deployable file by what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError
from atpn_exporters.artifact_files import sha256_of
from atpn_exporters.registry import TARGETS, target_named
from atpn_exporters.session import Session, SessionOptions
from atpn_exporters.target import Target


@dataclass(frozen=True)
class Artifact:
    """A file on disk, the target it was exported as and the facts it carries."""

    path: Path
    sha256: str
    target: Target
    metadata: dict[str, Any]

    @property
    def checkpoint_sha256(self) -> str:
        """The checkpoint that the file was made from; empty if it does not say."""
        return str(self.metadata.get("checkpoint_sha256", ""))


def identify(path: Path, target: str | None = None) -> Artifact:
    """Read a file's own facts; `target` stands in where it carries none.

    Raises ArtifactError for a file that is missing, of an unknown suffix or silent about its
    target.
    """
    metadata = by_suffix(path).read_metadata(path)
    name = target or metadata.get("target")
    if not name:
        raise ArtifactError(
            f"{path} carries no ATPN metadata; name its kind with --target, such as "
            f"--target {next(t.name for t in TARGETS.values() if t.suffix == path.suffix)}"
        )
    chosen = target_named(str(name))
    if chosen.suffix != path.suffix:
        raise ArtifactError(f"{path} cannot be {chosen.name}: that ends in {chosen.suffix}")
    return Artifact(path, sha256_of(path), chosen, metadata)


def open_file(path: Path, options: SessionOptions) -> Session:
    """A session on any deployable file that follows the contract, metadata or not."""
    return by_suffix(path).load(path, options)


def by_suffix(path: Path) -> Target:
    """A target of the file's format: all of one suffix load and read metadata alike."""
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; expected a file written by atpn-export")
    targets = {target.suffix: target for target in TARGETS.values()}
    if path.suffix not in targets:
        raise ArtifactError(
            f"{path} ends in {path.suffix or 'nothing'!r}; expected {' or '.join(sorted(targets))}"
        )
    return targets[path.suffix]
