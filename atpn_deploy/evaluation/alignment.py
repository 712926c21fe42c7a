"""Landmarks against annotations: NME, failure rate and AUC, on a test set and its attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import ATTRIBUTES, FaceSet
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.results import AlignmentFigures, AlignmentResult
from atpn_deploy.evaluation.views import Advance, ignore, look
from atpn_deploy.landmarks import as_68
from atpn_deploy.metrics import (
    area_under_ced,
    failure_rate,
    inter_ocular,
    inter_pupil,
    normalised_mean_error,
)

#: The subset that holds every face.
WHOLE = "testset"

Floats = NDArray[np.float64]


def measure_alignment(
    networks: Sequence[Network], faces: FaceSet, dataset: str, advance: Advance = ignore
) -> list[AlignmentResult]:
    """One result a network; the crop is the contract's square round the annotated points.

    Where network and annotation have different markups both are reduced to the 68 points that
    they share. Raises DatasetError for a face with a point that is not known.
    """
    partial = np.flatnonzero(~(faces.weights > 0).all(1))
    if len(partial):
        raise DatasetError(
            f"{faces.names[int(partial[0])]} has points without annotation; alignment is measured "
            "on faces whose points are all known"
        )
    seen = look(networks, faces.images, faces.boxes, advance)
    return [_result(view.landmarks, faces, dataset) for view in seen]


def errors_of(predicted: Floats, annotated: Floats) -> tuple[Floats, Floats]:
    """(N, P, 2) twice, pixels, to (N,) NME by inter-ocular and (N,) by inter-pupil distance.

    Where the markups differ, the point distances are over the 68 common points; the eyes are
    always measured in the annotation's own markup.
    """
    ocular, pupil = inter_ocular(annotated), inter_pupil(annotated)
    if predicted.shape[1] != annotated.shape[1]:
        predicted, annotated = (as_68(p).astype(np.float64) for p in (predicted, annotated))
    by_ocular = normalised_mean_error(predicted, annotated, ocular)
    by_pupil = normalised_mean_error(predicted, annotated, pupil)
    return by_ocular.astype(np.float64), by_pupil.astype(np.float64)


def _result(predicted: Floats, faces: FaceSet, dataset: str) -> AlignmentResult:
    """The figures of every subset that has faces."""
    errors, by_pupil = errors_of(predicted, faces.points.astype(np.float64))
    subsets = {WHOLE: _figures(errors, by_pupil)}
    if faces.attributes is not None:
        for name, chosen in zip(ATTRIBUTES, faces.attributes.T, strict=True):
            if chosen.any():
                subsets[name] = _figures(errors[chosen], by_pupil[chosen])
    return AlignmentResult(dataset, subsets, errors)


def _figures(errors: Floats, by_pupil: Floats) -> AlignmentFigures:
    return AlignmentFigures(
        faces=len(errors),
        nme_percent=100 * float(errors.mean()),
        nme_pupil_percent=100 * float(by_pupil.mean()),
        failure_percent=100 * failure_rate(errors),
        auc=area_under_ced(errors),
    )
