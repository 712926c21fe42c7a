"""WFLW's list files: what is read, and which line is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.datasets.wflw import wflw
from atpn_deploy.errors import DatasetError

ATTRIBUTES = (1, 0, 0, 1, 0, 1)


def line(points: NDArray[np.float64], name: str, attributes: tuple[int, ...] = ATTRIBUTES) -> str:
    values = [f"{v:.6f}" for v in points.ravel()]
    return " ".join([*values, "40", "20", "130", "110", *map(str, attributes), name])


@pytest.fixture
def write_list(tmp_path: Path, write_photo) -> Callable[[list[str]], Path]:
    """Write the lines as the training list, with two photographs; returns the list's path."""

    def write(lines: list[str]) -> Path:
        folder = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
        folder.mkdir(parents=True)
        for name in ("a.jpg", "b.jpg"):
            write_photo(tmp_path / "WFLW_images" / "0--Parade" / name)
        path = folder / "list_98pt_rect_attr_train.txt"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_faces_are_read_as_they_are_listed(
    tmp_path: Path, write_list, spread_points, dot_centre
) -> None:
    one, two = spread_points(98, 50, 30, 80), spread_points(98, 20, 40, 60)
    one[96] = (84, 64)  # on the photograph's dot
    write_list([line(one, "0--Parade/a.jpg"), line(two, "0--Parade/b.jpg", (0,) * 6)])
    faces = wflw(tmp_path, "train", largest=None)
    assert len(faces) == 2
    assert faces.attributes is not None
    assert faces.attributes.tolist() == [[True, False, False, True, False, True], [False] * 6]
    assert np.isnan(faces.pose).all()
    assert (faces.weights == 1).all()
    assert faces.names[1].endswith("list_98pt_rect_attr_train.txt:2 (b.jpg)")
    # A region is moved against its photograph and not scaled; the box is that of the points.
    np.testing.assert_allclose(faces.points[0] - faces.points[0][0], one - one[0], atol=1e-4)
    np.testing.assert_allclose(faces.boxes[0][2:] - faces.boxes[0][:2], 80, atol=1e-3)
    np.testing.assert_allclose(faces.boxes[0][:2], faces.points[0].min(0), atol=1e-4)
    np.testing.assert_allclose(dot_centre(faces.images[0]), faces.points[0][96], atol=0.1)


def test_a_large_face_is_scaled_down(tmp_path: Path, write_list, spread_points) -> None:
    write_list([line(spread_points(98, 20, 10, 140), "0--Parade/a.jpg")])
    faces = wflw(tmp_path, "train", largest=100)
    assert faces.images[0].shape == (100, 100, 3)
    np.testing.assert_allclose(faces.boxes[0][2:] - faces.boxes[0][:2], 100 / 2.4, atol=0.01)


def test_a_point_that_is_no_number_counts_nothing(
    tmp_path: Path, write_list, spread_points
) -> None:
    points = spread_points(98, 50, 30, 80)
    points[7] = np.nan
    write_list([line(points, "0--Parade/a.jpg")])
    faces = wflw(tmp_path, "train")
    assert np.flatnonzero(faces.weights[0] == 0).tolist() == [7]
    assert np.isfinite(faces.points).all()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda good: good.split(" ", 3)[3], r"204 fields came, 207 were expected"),
        (lambda good: good.replace("40 20 130", "40 x 130"), "could not convert string"),
        (lambda good: good.replace("1 0 0 1 0 1", "1 0 0 7 0 1"), "attributes .* 0 or 1"),
        (lambda good: good.replace("b.jpg", "c.jpg"), r"c\.jpg does not exist"),
        (lambda good: good.replace("b.jpg", "a.jpg"), r"train\.txt:1 and .*:2 are the same face"),
        (lambda good: "nan " * 196 + "1 1 2 2 0 0 0 0 0 0 0--Parade/b.jpg", "not one of its"),
        (lambda good: "7.5 " * 196 + "1 1 2 2 0 0 0 0 0 0 0--Parade/b.jpg", "0 x 0 pixels"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, write_list, spread_points, broken, words) -> None:
    points = spread_points(98, 50, 30, 80)
    write_list([line(points, "0--Parade/a.jpg"), broken(line(points, "0--Parade/b.jpg"))])
    with pytest.raises(DatasetError, match=words) as raised:
        wflw(tmp_path, "train")
    assert "list_98pt_rect_attr_train.txt:2" in str(raised.value)


def test_a_face_far_outside_is_named_when_its_image_is_asked_for(
    tmp_path: Path, write_list, spread_points
) -> None:
    write_list([line(spread_points(98, 170, 30, 80), "0--Parade/a.jpg")])
    faces = wflw(tmp_path, "train")
    with pytest.raises(DatasetError, match=r"train\.txt:1 \(a\.jpg\): the face .* half outside"):
        faces.images[0]


def test_a_damaged_photograph_is_named_when_its_turn_comes(
    tmp_path: Path, write_list, spread_points
) -> None:
    lines = [line(spread_points(98, 50, 30, 80), f"0--Parade/{name}.jpg") for name in "ab"]
    write_list(lines)
    photo = tmp_path / "WFLW_images" / "0--Parade" / "b.jpg"
    photo.write_bytes(photo.read_bytes()[:400])
    faces = wflw(tmp_path, "train")
    assert faces.images[0].ndim == 3
    with pytest.raises(DatasetError, match=r"b\.jpg is"):
        faces.images[1]


def test_what_is_missing_is_named(tmp_path: Path, write_list) -> None:
    with pytest.raises(DatasetError, match="no split 'val'; choose one of train, test"):
        wflw(tmp_path, "val")
    with pytest.raises(DatasetError, match="is not a folder; expected WFLW_annotations"):
        wflw(tmp_path, "train")
    write_list([])
    with pytest.raises(DatasetError, match=r"train\.txt is empty"):
        wflw(tmp_path, "train")
    with pytest.raises(DatasetError, match=r"rect_attr_test\.txt cannot be read: No such file"):
        wflw(tmp_path, "test")
