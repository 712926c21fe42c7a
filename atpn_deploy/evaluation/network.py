"""One thing that is measured: a checkpoint in PyTorch or a deployable file, behind one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CONFIDENCE, IMAGE, LANDMARKS, OUTPUTS, POSE, Tensors
from atpn_deploy.crop import MARGIN
from atpn_deploy.errors import ArtifactError

if TYPE_CHECKING:
    from atpn_deploy.weights import Checkpoint

#: (N, 112, 112, 3) uint8 to landmarks (N, P, 2), pose (N, 3) and confidence (N, 1), by name.
Predict = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]


class Session(Protocol):
    """An open deployable file, as far as it is needed here."""

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """The contract outputs that the file computes."""

    def run(self, feeds: Tensors) -> Mapping[str, NDArray[Any]]:
        """{"image": (1, 112, 112, 3)} to the outputs by name."""


@dataclass(frozen=True)
class Network:
    """A checkpoint or a file that answers for batches of crops."""

    name: str
    runtime: str  # `torch 2.13.0`, `LiteRT 2.3.0`, ...
    sha256: str
    landmark_count: int  # 98 or 68
    outputs: tuple[str, ...]  # contract names, in the contract's order
    predict: Predict
    made_from: str = ""  # sha256 of the checkpoint that it is or was exported from; empty: unknown
    margin: float = MARGIN  # of its crop, see `crop.box_around`

    @property
    def estimates_pose(self) -> bool:
        """Whether there is a pose to measure; the `align` signature has none."""
        return POSE.name in self.outputs

    @property
    def tells_faces(self) -> bool:
        """Whether there is a confidence to measure; the `align` signature has none."""
        return CONFIDENCE.name in self.outputs


def of_checkpoint(checkpoint: Checkpoint) -> Network:
    """PyTorch, float32, in batches.

    Raises WeightsError for tensors that do not fit.
    """
    import torch

    from atpn_deploy.weights import predictor

    return Network(
        checkpoint.path.name,
        f"torch {torch.__version__.split('+')[0]}",
        checkpoint.sha256,
        checkpoint.config.landmark_count,
        tuple(spec.name for spec in OUTPUTS),
        predictor(checkpoint.load()),
        checkpoint.sha256,
    )


def of_session(session: Session, path: Path, sha256: str, made_from: str = "") -> Network:
    """An open file, crop by crop as the contract has it; `made_from` is what its metadata says.

    Raises ArtifactError for a file without landmarks.
    """
    if LANDMARKS.name not in session.output_names:
        raise ArtifactError(
            f"{path} computes {', '.join(session.output_names) or 'nothing'}; "
            f"expected {LANDMARKS.name} at least: export one with atpn-export"
        )

    def predict(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        rows = [session.run({IMAGE.name: crop[None]}) for crop in crops]
        return {
            name: np.concatenate([np.asarray(row[name], np.float32) for row in rows])
            for name in session.output_names
        }

    blank = predict(np.zeros(IMAGE.shape, np.uint8))
    return Network(
        path.name,
        session.runtime,
        sha256,
        blank[LANDMARKS.name].shape[1],
        session.output_names,
        predict,
        made_from,
    )
