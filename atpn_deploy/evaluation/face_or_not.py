"""Face or no face: the confidence as a classifier of crops, by precision and recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atpn_deploy.datasets.faces import FaceSet, Image
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.results import TrackingResult
from atpn_deploy.evaluation.views import Advance, ignore, look, look_at_crops
from atpn_deploy.metrics import precision_recall


def measure_tracking(
    networks: Sequence[Network],
    faces: FaceSet,
    backgrounds: Sequence[Image],
    dataset: str,
    advance: Advance = ignore,
) -> list[TrackingResult]:
    """One result a network: crops of `faces` should score above `backgrounds`, (112, 112, 3) each.

    Each crop is looked at once, as the paper does: nothing moves a bad crop to a better place.
    Raises DatasetError for a network without confidence.
    """
    results = []
    found = look(networks, faces.images, faces.boxes, advance)
    alarms = look_at_crops(networks, backgrounds, advance)
    positive = np.arange(len(faces) + len(backgrounds)) < len(faces)
    for network, face, background in zip(networks, found, alarms, strict=True):
        if face.confidence is None or background.confidence is None:
            raise DatasetError(
                f"{network.name} computes no confidence; export it with all three tasks"
            )
        scores = np.concatenate((face.confidence, background.confidence))
        curve = precision_recall(scores, positive)
        results.append(
            TrackingResult(
                dataset,
                len(faces),
                len(backgrounds),
                curve.average_precision,
                curve.precision,
                curve.recall,
            )
        )
    return results
