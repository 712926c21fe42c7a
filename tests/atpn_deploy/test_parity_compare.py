"""The comparison itself must be able to fail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.metrics import EYE_CORNERS
from atpn_deploy.parity import Limit, NothingComparedError, Row, Scope, Statistic, compare

COUNT = 4
ALL = np.ones(COUNT, bool)
LIMITS = (
    Limit("landmarks", "max", 0.01, "px", "a test"),
    Limit("pose", "max", 0.01, "degree", "a test"),
    Limit("confidence", "max", 0.01, "probability", "a test"),
)
Arrays = dict[str, NDArray[np.float32]]


def outputs() -> Arrays:
    """Outputs of `COUNT` goldens whose eyes stand half a crop apart."""
    arrays = {spec.name: np.zeros((COUNT, *spec.shape[1:]), np.float32) for spec in OUTPUTS}
    arrays["landmarks"][:, EYE_CORNERS[1], 0] = 0.5
    return arrays


def failed(rows: list[Row]) -> list[str]:
    return [row.output for row in rows if not row.ok]


def one(limit: Limit, actual: Arrays, faces: NDArray[np.bool_] = ALL) -> Row:
    (row,) = compare({limit.output: actual[limit.output]}, outputs(), [limit], faces)
    return row


def limit(output: str, unit: str, statistic: Statistic = "max", scope: Scope = "all") -> Limit:
    return Limit(output, statistic, 0.01, unit, "a test", scope)  # type: ignore[arg-type]


def test_equal_outputs_pass_with_no_error() -> None:
    rows = compare(outputs(), outputs(), LIMITS, ALL)
    assert [(row.output, row.error, row.ok) for row in rows] == [
        (spec.name, 0.0, True) for spec in OUTPUTS
    ]


@pytest.mark.parametrize("bad", [1.0, -1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [spec.name for spec in OUTPUTS])
def test_one_bad_value_is_enough(name: str, bad: float) -> None:
    actual = outputs()
    actual[name].flat[-1] = bad
    rows = compare(actual, outputs(), LIMITS, ALL)
    assert failed(rows) == [name]
    assert {row.worst for row in rows if not row.ok} == {COUNT - 1}


@pytest.mark.parametrize("statistic", ["max", "mean"])
@pytest.mark.parametrize("name", [spec.name for spec in OUTPUTS])
def test_a_nan_in_the_reference_fails_too(name: str, statistic: Statistic) -> None:
    unit = {"landmarks": "px", "pose": "degree", "confidence": "probability"}[name]
    expected = outputs()
    expected[name].flat[0] = np.nan
    (row,) = compare({name: outputs()[name]}, expected, [limit(name, unit, statistic)], ALL)
    assert not row.ok


def test_an_error_at_the_limit_passes_and_one_above_does_not() -> None:
    at = Limit("confidence", "max", 0.25, "probability", "exact in binary")
    actual = outputs()
    actual["confidence"][1] = 0.25
    assert one(at, actual).ok
    actual["confidence"][1] = np.nextafter(np.float32(0.25), np.float32(1))
    assert not one(at, actual).ok


def test_landmarks_are_point_distances_in_pixels_of_the_crop() -> None:
    actual = outputs()
    actual["landmarks"][2, 7] += (3 / 112, 4 / 112)
    row = one(limit("landmarks", "px"), actual)
    assert row.error == pytest.approx(5)
    assert row.worst == 2
    mean = one(limit("landmarks", "px", "mean"), actual)
    assert mean.error == pytest.approx(5 / 98 / COUNT)


def test_landmarks_are_a_share_of_the_reference_s_eye_distance() -> None:
    actual = outputs()
    actual["landmarks"][0, 0] += (0.05, 0)
    assert one(limit("landmarks", "% inter-ocular"), actual).error == pytest.approx(10)


def test_pose_is_in_degrees() -> None:
    actual = outputs()
    actual["pose"][0, 2] = np.radians(30)
    assert one(limit("pose", "degree"), actual).error == pytest.approx(30)


def test_an_angle_is_compared_the_short_way_round() -> None:
    expected, actual = outputs(), outputs()
    expected["pose"][0, 0], actual["pose"][0, 0] = np.radians(179), np.radians(-179)
    (row,) = compare({"pose": actual["pose"]}, expected, [limit("pose", "degree")], ALL)
    assert row.error == pytest.approx(2, abs=1e-4)


def test_a_step_is_the_plain_difference() -> None:
    actual = outputs()
    actual["pose"][3, 1] = 3
    assert one(limit("pose", "step"), actual).error == 3


def test_a_limit_on_faces_leaves_the_others_out() -> None:
    faces = np.array([True, True, True, False])
    actual = outputs()
    actual["pose"][3] = np.nan
    assert one(limit("pose", "degree", scope="faces"), actual, faces).ok
    assert not one(limit("pose", "degree", scope="all"), actual, faces).ok
    actual["pose"][2] = 1
    row = one(limit("pose", "degree", scope="faces"), actual, faces)
    assert (row.ok, row.worst) == (False, 2)


def test_a_mean_over_faces_counts_faces_alone() -> None:
    faces = np.array([True, False, False, False])
    actual = outputs()
    actual["confidence"][0] = 0.5
    row = one(limit("confidence", "probability", "mean", "faces"), actual, faces)
    assert row.error == 0.5


def test_no_golden_in_scope_is_an_error() -> None:
    with pytest.raises(NothingComparedError, match="faces"):
        one(limit("pose", "degree", scope="faces"), outputs(), ~ALL)


def test_no_golden_at_all_is_an_error() -> None:
    empty = {name: array[:0] for name, array in outputs().items()}
    with pytest.raises(NothingComparedError):
        compare(empty, empty, LIMITS, ALL[:0])


def test_no_output_is_an_error() -> None:
    with pytest.raises(NothingComparedError, match="any output"):
        compare({}, outputs(), LIMITS, ALL)


def test_no_limit_is_an_error() -> None:
    with pytest.raises(NothingComparedError):
        compare(outputs(), outputs(), [], ALL)


def test_an_output_without_a_limit_is_an_error() -> None:
    with pytest.raises(NothingComparedError, match="confidence"):
        compare(outputs(), outputs(), LIMITS[:2], ALL)


def test_an_output_that_the_reference_lacks_is_an_error() -> None:
    expected = outputs()
    del expected["pose"]
    with pytest.raises(KeyError, match="pose"):
        compare(outputs(), expected, LIMITS, ALL)


def test_another_shape_is_an_error_and_never_broadcast() -> None:
    actual = outputs()
    actual["pose"] = actual["pose"][:1]
    with pytest.raises(ValueError, match=r"pose has shape \(1, 3\)"):
        compare(actual, outputs(), LIMITS, ALL)


def test_an_align_file_is_held_to_the_landmark_limits_alone() -> None:
    rows = compare({"landmarks": outputs()["landmarks"]}, outputs(), LIMITS, ALL)
    assert [row.output for row in rows] == ["landmarks"]
