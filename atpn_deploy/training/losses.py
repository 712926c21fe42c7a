"""The paper's three losses and Wing loss, with masks for what is not labelled."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.landmarks import OUTER_EYE_CORNERS

AlignmentLoss = Literal["nme", "wing"]

#: Wing loss in pixels of the crop: logarithmic below WING_WIDTH, with curvature WING_CURVE.
WING_WIDTH, WING_CURVE = 10.0, 2.0


def nme_loss(predicted: Tensor, annotated: Tensor, weights: Tensor) -> Tensor:
    """Equation 3: point distance over inter-ocular distance, averaged over the points that count.

    Points (B, N, 2) in fractions of the crop, weights (B, N), 0 where a point is not known. The
    inter-ocular distance is not let below a tenth of the crop: on a profile it vanishes and would
    drown the rest.
    """
    left, right = OUTER_EYE_CORNERS[annotated.shape[1]]
    ocular = (annotated[:, left] - annotated[:, right]).norm(dim=-1).clamp_min(0.1)  # (B,)
    distance = ((predicted - annotated).square().sum(-1) + 1e-8).sqrt()  # (B, N)
    loss: Tensor = (distance / ocular[:, None] * weights).sum() / weights.sum().clamp_min(1)
    return loss


def wing_loss(predicted: Tensor, annotated: Tensor, weights: Tensor) -> Tensor:
    """Wing loss (Feng et al., 2018) of each coordinate in pixels, averaged over what counts.

    w ln(1 + |x| / e) below w, |x| - c above, c joining the two: small errors keep a large slope,
    so that points go on to be refined when gross errors are gone. Shapes as in `nme_loss`.
    """
    width, curve = WING_WIDTH, WING_CURVE
    x = (predicted - annotated).abs() * CROP_SIDE  # (B, N, 2)
    joint = width - width * math.log(1 + width / curve)
    wing = torch.where(x < width, width * torch.log(1 + x / curve), x - joint)
    loss: Tensor = (wing.mean(-1) * weights).sum() / weights.sum().clamp_min(1)
    return loss


ALIGNMENT_LOSSES = {"nme": nme_loss, "wing": wing_loss}


def tracking_loss(logits: Tensor, is_face: Tensor) -> Tensor:
    """Equation 5, cross entropy of face and background; logits (B, 2), is_face (B,) bool.

    The paper prints its second term as (1 - y)(1 - log p), which would not be a cross entropy;
    (1 - y) log(1 - p) is meant.
    """
    return functional.cross_entropy(logits, is_face.long())


def pose_loss(predicted: Tensor, annotated: Tensor) -> Tensor:
    """Equation 7 with |.| as the distance: mean absolute error in radians, (B, 3) each.

    The root over the norm, as printed, has an unbounded slope at zero; the mean absolute error is
    what the paper evaluates with (equation 9).
    """
    known = torch.isfinite(annotated).all(-1)
    return (predicted[known] - annotated[known]).abs().mean()
