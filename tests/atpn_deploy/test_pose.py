from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atpn_deploy.pose import axes, rotation

ANGLE = st.floats(-np.pi, np.pi)
FRONT, UP, LEFT = range(3)


def test_a_head_at_rest_looks_into_the_camera():
    assert axes(np.zeros(3)).tolist() == [[0, 0, -1], [0, -1, 0], [1, 0, 0]]


def test_positive_yaw_points_the_nose_to_the_left_of_the_image():
    front = axes(np.array([0.5, 0, 0]))[FRONT]

    assert front[0] == pytest.approx(-np.sin(0.5))
    assert front[1] == pytest.approx(0)
    assert front[2] < 0


def test_positive_pitch_looks_up():
    front, up, _ = axes(np.array([0, 0.5, 0]))

    assert front[0] == pytest.approx(0)
    assert front[1] == pytest.approx(-np.sin(0.5))  # y grows downwards
    assert up[2] > 0  # the top of the head tips away from the camera


def test_positive_roll_turns_the_head_clockwise_on_the_screen():
    front, up, left = axes(np.array([0, 0, 0.5]))

    assert up[:2] == pytest.approx((np.sin(0.5), -np.cos(0.5)))  # from twelve towards three
    assert left[:2] == pytest.approx((np.cos(0.5), np.sin(0.5)))
    assert front == pytest.approx((0, 0, -1))


def test_a_turned_head_keeps_its_chin_down():
    up = axes(np.array([1.2, 0, 0]))[UP]

    assert up == pytest.approx((0, -1, 0))


@given(yaw=ANGLE, pitch=ANGLE, roll=ANGLE)
def test_every_pose_is_a_rotation(yaw, pitch, roll):
    matrix = rotation(np.array([yaw, pitch, roll]))

    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


@given(yaw=ANGLE, pitch=ANGLE, roll=ANGLE)
def test_a_mirrored_photograph_negates_yaw_and_roll(yaw, pitch, roll):
    front, up, left = axes(np.array([yaw, pitch, roll]))
    mirrored = axes(np.array([-yaw, pitch, -roll]))
    flip = np.array((-1, 1, 1))

    assert mirrored[FRONT] == pytest.approx(front * flip, abs=1e-12)
    assert mirrored[UP] == pytest.approx(up * flip, abs=1e-12)
    assert mirrored[LEFT] == pytest.approx(-left * flip, abs=1e-12)  # left and right change places


def test_the_signs_are_those_of_aflw2000(shared_data):
    """Where the nose points (its tip against the ears' middle) agrees with the labels' axes."""
    labels = np.load(shared_data / "aflw2000_dev" / "labels.npz")
    points = labels["pts68_reannotated"].astype(np.float64)
    pitch, yaw, roll = np.radians(labels["pitch_yaw_roll_deg"]).T
    kept = labels["valid_99"] & (np.abs(roll) < 0.9)
    turned = np.stack([axes(np.array(pose)) for pose in zip(yaw, pitch, roll, strict=True)])
    nose = points[:, 30] - (points[:, 0] + points[:, 16]) / 2
    eyes = points[:, 45] - points[:, 36]  # from the person's right eye to their left

    front_right = np.corrcoef(turned[kept, FRONT, 0], nose[kept, 0])[0, 1]
    front_down = np.corrcoef(turned[kept, FRONT, 1], nose[kept, 1])[0, 1]
    level = kept & (np.abs(yaw) < 0.7)
    tilt = np.arctan2(turned[level, LEFT, 1], turned[level, LEFT, 0])
    tilt_seen = np.arctan2(eyes[level, 1], eyes[level, 0])

    assert front_right > 0.9
    assert front_down > 0.6
    assert np.corrcoef(tilt, tilt_seen)[0, 1] > 0.9
