"""One file bisected: which checkpoint it belongs to, and on which crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.config import CONFIGS
from atpn_deploy.errors import ArtifactError, MissingToolError, UnsupportedError
from atpn_deploy.golden import load_inputs
from atpn_deploy.weights import Checkpoint, open_checkpoint, shipped
from atpn_exporters.bisect.measure import examine
from atpn_exporters.bisect.report import BisectReport
from atpn_exporters.opening import by_suffix
from atpn_exporters.registry import TARGETS

if TYPE_CHECKING:
    from atpn_exporters.target import Target

#: Golden faces that a file is held against: more change no ranking and take their time.
CROPS = 6


def bisect(
    path: Path,
    weights: Path | None = None,
    on_layer: Callable[[int, int], None] = lambda done, count: None,
) -> BisectReport:
    """Hold every layer of a file against the checkpoint that it was made from.

    `weights` is the user's own checkpoint; without it the file's own word says which shipped one it
    is. Raises an AtpnError, in one line, for a file or a checkpoint that is missing, foreign or
    damaged, a format whose layers can't be told apart, and tools that are not installed.
    """
    target = by_suffix(path)
    if target.dissect is None:
        able = sorted({t.suffix for t in TARGETS.values() if t.dissect is not None})
        raise UnsupportedError(
            f"the layers of a {target.suffix} file can't be looked at one by one; "
            f"export the same network as {' or '.join(able)} and bisect that"
        )
    target.require()
    metadata = target.read_metadata(path)
    made_from = str(metadata.get("checkpoint_sha256", ""))
    checkpoint = open_checkpoint(weights) if weights else _found(path, made_from)
    signature = str(metadata.get("signature", "")) or None
    report = _examined(
        path, target, checkpoint, "full" if signature == "both" else signature, on_layer
    )
    if made_from and made_from != checkpoint.sha256:
        note = f"the file says that it was made from another checkpoint, {made_from[:12]}..."
        report = replace(report, notes=(note,))
    return report


def _found(path: Path, sha256: str) -> Checkpoint:
    """The shipped checkpoint of that hash."""
    if not sha256:
        raise ArtifactError(
            f"{path} does not say which checkpoint it was made from; name it with --weights FILE"
        )
    for name in CONFIGS:
        checkpoint = shipped(name)
        if checkpoint.sha256 == sha256:
            return checkpoint
    raise ArtifactError(
        f"{path} was made from the checkpoint {sha256[:12]}..., which is not one that is shipped "
        f"({', '.join(CONFIGS)}); name it with --weights FILE"
    )


def _examined(
    path: Path,
    target: Target,
    checkpoint: Checkpoint,
    signature: str | None,
    on_layer: Callable[[int, int], None],
) -> BisectReport:
    try:
        from atpn_exporters.bisect.reference import Network
        from atpn_exporters.module_names import called_names_of

        model = checkpoint.load()
    except ImportError as error:
        raise MissingToolError(f"the reference needs PyTorch: {target.pip_line}") from error
    if target.dissect is None:
        raise UnsupportedError(f"{target.name} can't be bisected")
    file = target.dissect(path, signature, called_names_of(model))
    names, images = golden_faces(CROPS)
    computed = "full" if len(file.outputs) > 1 else "align"
    examination = examine(Network(model, computed, images), file, images, on_layer)
    return BisectReport(
        path, checkpoint.name, checkpoint.sha256, computed, file.runtime, names, examination
    )


def golden_faces(count: int) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Names and crops (count, 112, 112, 3) of golden faces, spread over all of them."""
    golden = load_inputs()
    faces = np.flatnonzero(golden.faces)
    chosen = faces[np.linspace(0, len(faces) - 1, count).round().astype(int)]
    return tuple(golden.names[index] for index in chosen), golden.images[chosen]
