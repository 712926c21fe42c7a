"""The losses, held to values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from atpn_deploy.metrics import EYE_CORNERS
from atpn_deploy.training.losses import alignment_loss, pose_loss, tracking_loss


def faces(ocular: float = 0.5, count: int = 2) -> Tensor:
    points = torch.zeros(count, 98, 2)
    points[:, EYE_CORNERS[1], 0] = ocular
    return points


def test_alignment_loss_is_distance_over_eye_distance() -> None:
    predicted = faces() + torch.tensor([0.03, 0.04])
    loss = alignment_loss(predicted, faces(), torch.ones(2, 98))
    assert loss.item() == pytest.approx(0.05 / 0.5, rel=1e-3)


def test_a_point_without_weight_does_not_count() -> None:
    predicted, weights = faces(), torch.ones(2, 98)
    predicted[0, 5] = 99
    weights[0, 5] = 0
    assert alignment_loss(predicted, faces(), weights).item() == pytest.approx(0, abs=1e-3)
    assert alignment_loss(predicted, faces(), torch.ones(2, 98)) > 1


def test_points_are_averaged_by_weight() -> None:
    predicted, weights = faces(count=1), torch.zeros(1, 98)
    predicted[0, 5, 0], predicted[0, 6, 0] = 0.1, 0.4
    weights[0, 5], weights[0, 6] = 3, 1
    expected = (3 * 0.1 + 1 * 0.4) / 4 / 0.5
    assert alignment_loss(predicted, faces(count=1), weights).item() == pytest.approx(expected)


def test_a_profile_s_vanishing_eye_distance_is_held_at_a_tenth() -> None:
    predicted = faces(0.0) + torch.tensor([0.03, 0.04])
    loss = alignment_loss(predicted, faces(0.0), torch.ones(2, 98))
    assert loss.item() == pytest.approx(0.05 / 0.1, rel=1e-3)


def test_alignment_loss_has_a_finite_slope_where_nothing_is_wrong() -> None:
    predicted = faces().requires_grad_()
    alignment_loss(predicted, faces(), torch.ones(2, 98)).backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()


def test_tracking_loss_is_the_cross_entropy_of_the_second_class() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])  # probability 3/4
    is_face = torch.tensor([True, False])
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    assert tracking_loss(logits, is_face).item() == pytest.approx(expected)


def test_pose_loss_is_the_mean_absolute_error_of_known_poses() -> None:
    predicted = torch.tensor([[0.1, -0.2, 0.3], [9.0, 9.0, 9.0]], requires_grad=True)
    annotated = torch.tensor([[0.0, 0.0, 0.0], [math.nan, 0.0, 0.0]])
    loss = pose_loss(predicted, annotated)
    assert loss.item() == pytest.approx(0.2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad[1].abs().sum() == 0
