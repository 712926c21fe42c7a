"""The paper's three losses, with masks for what is not labelled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from atpn_deploy.metrics import EYE_CORNERS


def alignment_loss(predicted: Tensor, annotated: Tensor, weights: Tensor) -> Tensor:
    """Equation 3: point distance over inter-ocular distance, averaged over the points that count.

    Points (B, N, 2) in one unit, weights (B, N), 0 where a point is not known. The inter-ocular
    distance is not let below a tenth of the crop: on a profile it vanishes and would drown the
    rest.
    """
    left, right = EYE_CORNERS
    ocular = (annotated[:, left] - annotated[:, right]).norm(dim=-1).clamp_min(0.1)  # (B,)
    distance = ((predicted - annotated).square().sum(-1) + 1e-8).sqrt()  # (B, N)
    loss: Tensor = (distance / ocular[:, None] * weights).sum() / weights.sum().clamp_min(1)
    return loss


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
