"""What PyTorch makes of the golden crops: stored for shipped checkpoints, else computed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import GoldenError
from atpn_deploy.golden import Golden, load_golden, load_inputs
from atpn_deploy.weights import Checkpoint
from atpn_exporters.converters import raise_failure, run_tasks
from atpn_exporters.worker import Request, Task


def golden_for(checkpoint: Checkpoint) -> Golden:
    """The golden crops with stored outputs or, for a user's checkpoint, computed ones."""
    try:
        return load_golden(checkpoint.sha256)
    except GoldenError:
        golden = load_inputs()  # raises again if the crops themselves are damaged
    return replace(golden, outputs=reference_outputs(checkpoint, golden))


def reference_outputs(checkpoint: Checkpoint, golden: Golden) -> dict[str, Any]:
    """What the reference makes of the golden crops; runs PyTorch in a child process."""
    with tempfile.TemporaryDirectory(prefix="atpn-reference-") as folder:
        workspace = Path(folder)
        np.save(workspace / "images.npy", golden.images)
        output = workspace / "reference.npz"
        task = Task("reference", str(output))
        request = Request(
            str(checkpoint.path), folder, (task,), crops=str(workspace / "images.npy")
        )
        run_tasks(request, workspace / "reference.log", raise_failure)
        with np.load(output, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
