from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.renderer.rasteriser import Fragments, rasterise

HEIGHT, WIDTH = 23, 31


def brute_force(points, triangles, both_sides):
    """(HEIGHT, WIDTH) the triangle seen, -1 for none, and its depth, pixel by pixel."""
    seen = np.full((HEIGHT, WIDTH), -1)
    depth = np.full((HEIGHT, WIDTH), np.inf)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            for number, corners in enumerate(points[triangles]):
                edges = np.vstack((corners[:, :2].T, np.ones(3)))
                area = np.linalg.det(edges)
                if area == 0 or (area < 0 and not both_sides):
                    continue
                weights = np.linalg.solve(edges, (column + 0.5, row + 0.5, 1))
                z = weights @ corners[:, 2]
                if (weights >= 0).all() and z < depth[row, column]:
                    seen[row, column], depth[row, column] = number, z
    return seen, depth


def picture(fragments: Fragments):
    seen = np.full(HEIGHT * WIDTH, -1)
    depth = np.full(HEIGHT * WIDTH, np.inf)
    seen[fragments.pixel], depth[fragments.pixel] = fragments.triangle, fragments.depth
    return seen.reshape(HEIGHT, WIDTH), depth.reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize("both_sides", [False, True])
def test_it_sees_what_a_loop_over_pixels_and_triangles_sees(both_sides: bool) -> None:
    rng = np.random.default_rng(4)
    points = np.column_stack(
        (rng.uniform(-6, 36, 24), rng.uniform(-6, 28, 24), rng.uniform(0, 9, 24))
    )
    triangles = rng.integers(0, 24, (14, 3))
    fragments = rasterise(points, triangles, (HEIGHT, WIDTH), both_sides=both_sides)
    seen, depth = picture(fragments)
    expected_seen, expected_depth = brute_force(points, triangles, both_sides)
    assert (expected_seen >= 0).sum() > 100
    np.testing.assert_array_equal(seen, expected_seen)
    np.testing.assert_allclose(depth, expected_depth, rtol=1e-5, atol=1e-4)


def test_interpolated_positions_are_the_centres_of_the_pixels() -> None:
    points = np.array([(2.0, 1.0, 5.0), (29.0, 4.0, 6.0), (7.0, 21.0, 9.0)])
    triangles = np.array([[0, 1, 2]])
    fragments = rasterise(points, triangles, (HEIGHT, WIDTH))
    place = fragments.interpolate(points, triangles)
    assert len(place) > 200
    np.testing.assert_allclose(place[:, 0], fragments.pixel % WIDTH + 0.5, atol=1e-3)
    np.testing.assert_allclose(place[:, 1], fragments.pixel // WIDTH + 0.5, atol=1e-3)
    np.testing.assert_allclose(place[:, 2], fragments.depth, rtol=1e-5)


def test_counter_clockwise_triangles_are_backs() -> None:
    points = np.array([(2.0, 1.0, 5.0), (29.0, 4.0, 6.0), (7.0, 21.0, 9.0)])
    back = np.array([[0, 2, 1]])
    assert len(rasterise(points, back, (HEIGHT, WIDTH)).pixel) == 0
    assert len(rasterise(points, back, (HEIGHT, WIDTH), both_sides=True).pixel) > 200


def test_nothing_outside_the_picture_is_drawn() -> None:
    points = np.array([(-9.0, -9.0, 1.0), (-1.0, -9.0, 1.0), (-9.0, -1.0, 1.0)])
    triangles = np.array([[0, 1, 2], [0, 2, 1]])
    for shift in ((0, 0, 0), (0, 60, 0), (60, 0, 0), (60, 60, 0)):
        fragments = rasterise(points + shift, triangles, (HEIGHT, WIDTH), both_sides=True)
        assert len(fragments.pixel) == 0
