"""Yaw, pitch and roll against annotations: mean absolute error and failure rate per subset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.w300lp import LARGEST_ANGLE_DEG
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.results import PoseFigures, PoseResult
from atpn_deploy.evaluation.views import Advance, ignore, look
from atpn_deploy.metrics import angle_errors_deg, pose_failure_rate

#: Where a set has no challenging part of its own, faces turned further than this are it.
COMMON_YAW_DEG = 30.0


def usual_faces(faces: FaceSet) -> FaceSet:
    """The faces whose three angles are known and at most LARGEST_ANGLE_DEG.

    Every paper that reports AFLW2000 leaves the others out: the fits that the labels come from
    break there.
    """
    limit = np.radians(LARGEST_ANGLE_DEG)
    return faces.where((np.abs(faces.pose) <= limit).all(1))  # false for NaN


def turned_away(faces: FaceSet) -> NDArray[np.bool_]:
    """(N,) whether |yaw| is above COMMON_YAW_DEG."""
    return np.asarray(np.abs(faces.pose[:, 0]) > np.radians(COMMON_YAW_DEG))


def measure_pose(
    networks: Sequence[Network],
    faces: FaceSet,
    challenging: NDArray[np.bool_],
    dataset: str,
    advance: Advance = ignore,
) -> list[PoseResult]:
    """One result a network; `challenging` (N,) says which faces are not of the common subset.

    Raises DatasetError for a face without a pose and for a network without one.
    """
    unknown = np.flatnonzero(~np.isfinite(faces.pose).all(1))
    if len(unknown):
        raise DatasetError(
            f"{faces.names[int(unknown[0])]} has no pose; measure on usual_faces(faces)"
        )
    results = []
    for network, view in zip(
        networks, look(networks, faces.images, faces.boxes, advance), strict=True
    ):
        if view.pose is None:
            raise DatasetError(f"{network.name} computes no pose; export it with all three tasks")
        errors = angle_errors_deg(view.pose, faces.pose).astype(np.float64)
        subsets = {
            name: _figures(errors[chosen])
            for name, chosen in (
                ("full", np.ones(len(faces), bool)),
                ("common", ~challenging),
                ("challenging", challenging),
            )
            if chosen.any()
        }
        results.append(PoseResult(dataset, subsets, errors))
    return results


def _figures(errors_deg: NDArray[np.float64]) -> PoseFigures:
    yaw, pitch, roll = (float(angle) for angle in errors_deg.mean(0))
    return PoseFigures(
        faces=len(errors_deg),
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
        mae_deg=(yaw + pitch + roll) / 3,
        failure_percent=100 * pose_failure_rate(errors_deg),
    )
