"""The losses, held to values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.landmarks import OUTER_EYE_CORNERS
from atpn_deploy.training.losses import nme_loss, pose_loss, tracking_loss, wing_loss


def faces(ocular: float = 0.5, count: int = 2, markup: int = 98) -> Tensor:
    points = torch.zeros(count, markup, 2)
    points[:, OUTER_EYE_CORNERS[markup][1], 0] = ocular
    return points


def test_nme_loss_is_distance_over_eye_distance() -> None:
    predicted = faces() + torch.tensor([0.03, 0.04])
    loss = nme_loss(predicted, faces(), torch.ones(2, 98))
    assert loss.item() == pytest.approx(0.05 / 0.5, rel=1e-3)


def test_68_points_have_their_own_eye_corners() -> None:
    predicted = faces(0.25, markup=68) + torch.tensor([0.03, 0.04])
    loss = nme_loss(predicted, faces(0.25, markup=68), torch.ones(2, 68))
    assert loss.item() == pytest.approx(0.05 / 0.25, rel=1e-3)


@pytest.mark.parametrize("loss", [nme_loss, wing_loss])
def test_a_point_without_weight_does_not_count(loss) -> None:  # type: ignore[no-untyped-def]
    predicted, weights = faces(), torch.ones(2, 98)
    predicted[0, 5] = 99
    weights[0, 5] = 0
    assert loss(predicted, faces(), weights).item() == pytest.approx(0, abs=1e-3)
    assert loss(predicted, faces(), torch.ones(2, 98)) > 1


@pytest.mark.parametrize("loss", [nme_loss, wing_loss])
def test_without_a_known_point_the_loss_is_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    predicted = (faces() + 1).requires_grad_()
    value = loss(predicted, faces(), torch.zeros(2, 98))
    value.backward()
    assert value.item() == 0
    assert predicted.grad is not None
    assert predicted.grad.abs().sum() == 0


def one_point(pixels: float) -> tuple[Tensor, Tensor, Tensor]:
    """One point of one face that is off along x alone."""
    predicted, weights = faces(count=1), torch.zeros(1, 98)
    predicted[0, 5, 0] += pixels / CROP_SIDE
    weights[0, 5] = 1
    return predicted.requires_grad_(), faces(count=1), weights


@pytest.mark.parametrize(
    ("pixels", "value", "slope"),
    [
        (1.0, 10 * math.log(1 + 1 / 2), 10 / (2 + 1)),  # w ln(1 + x / e), slope w / (e + x)
        (-1.0, 10 * math.log(1 + 1 / 2), -10 / (2 + 1)),
        (9.999, 10 * math.log(1 + 10 / 2), 10 / (2 + 10)),
        (10.001, 10 * math.log(1 + 10 / 2), 1.0),  # continuous where the pieces meet
        (15.0, 15 - (10 - 10 * math.log(1 + 10 / 2)), 1.0),  # |x| - c
    ],
)
def test_wing_loss_by_hand(pixels: float, value: float, slope: float) -> None:
    predicted, annotated, weights = one_point(pixels)
    loss = wing_loss(predicted, annotated, weights)
    assert loss.item() == pytest.approx(value / 2, rel=1e-3)  # the mean over x and y
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad[0, 5, 0].item() == pytest.approx(slope * CROP_SIDE / 2, rel=1e-3)


def test_wing_loss_averages_points_by_weight() -> None:
    predicted, weights = faces(count=1), torch.zeros(1, 98)
    predicted[0, 5], predicted[0, 6] = 2 / CROP_SIDE, 6 / CROP_SIDE
    weights[0, 5], weights[0, 6] = 3, 1
    expected = (3 * 10 * math.log(1 + 2 / 2) + 10 * math.log(1 + 6 / 2)) / 4
    assert wing_loss(predicted, faces(count=1), weights).item() == pytest.approx(expected, rel=1e-4)


def test_points_are_averaged_by_weight() -> None:
    predicted, weights = faces(count=1), torch.zeros(1, 98)
    predicted[0, 5, 0], predicted[0, 6, 0] = 0.1, 0.4
    weights[0, 5], weights[0, 6] = 3, 1
    expected = (3 * 0.1 + 1 * 0.4) / 4 / 0.5
    assert nme_loss(predicted, faces(count=1), weights).item() == pytest.approx(expected)


def test_a_profile_s_vanishing_eye_distance_is_held_at_a_tenth() -> None:
    predicted = faces(0.0) + torch.tensor([0.03, 0.04])
    loss = nme_loss(predicted, faces(0.0), torch.ones(2, 98))
    assert loss.item() == pytest.approx(0.05 / 0.1, rel=1e-3)


def test_nme_loss_has_a_finite_slope_where_nothing_is_wrong() -> None:
    predicted = faces().requires_grad_()
    nme_loss(predicted, faces(), torch.ones(2, 98)).backward()  # type: ignore[no-untyped-call]
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
