"""300W's .pts files, counted from 1, and the photographs beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.datasets.pts import read_pts
from atpn_deploy.datasets.w300 import SPLITS, w300
from atpn_deploy.errors import DatasetError

TRAIN = SPLITS["train"]


def pts(points: NDArray[np.float64]) -> str:
    rows = "\n".join(f"{x:.4f} {y:.4f}" for x, y in points)
    return f"version: 1\nn_points:  68\n{{\n{rows}\n}}\n"


@pytest.fixture
def folders(tmp_path: Path, write_photo, spread_points) -> Path:
    """A photograph and its points in each of the training folders; the last one a PNG."""
    for number, folder in enumerate(TRAIN):
        suffix = ".png" if number == 2 else ".jpg"
        write_photo(tmp_path / folder / f"face{suffix}")
        points = spread_points(68, 50, 30, 80)
        points[30] = (84.5, 64.5)  # the dot's centre, counted from 1
        (tmp_path / folder / "face.pts").write_text(pts(points))
    return tmp_path


def test_a_split_is_all_of_its_folders(folders: Path, dot_centre) -> None:
    faces = w300(folders, "train", largest=None)
    assert faces.points.shape == (3, 68, 2)
    assert [Path(name.split(" ")[0]).parent.name for name in faces.names] == [
        Path(folder).name for folder in TRAIN
    ]
    for image, points in zip(faces.images, faces.points, strict=True):
        np.testing.assert_allclose(dot_centre(image), points[30], atol=0.1)


def test_points_count_from_one(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text(pts(np.ones((68, 2))))
    assert (read_pts(tmp_path / "a.pts") == 0.5).all()  # the centre of the first pixel


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n_points:  68", "n_points:  67", r"face\.pts: 'n_points:  67' came"),
        ("n_points:  68", "", r"face\.pts: no n_points came"),
        ("}", "", "between a line {"),
        ("}", "1 2\n}", "69 points came, 68 were expected"),
        ("84.5000 64.5000", "84.5", r"face\.pts:34: 1 numbers came, 2 were expected"),
        ("84.5000", "x", r"face\.pts:34: could not convert"),
    ],
)
def test_a_wrong_line_is_named(folders: Path, old: str, new: str, words: str) -> None:
    path = folders / TRAIN[0] / "face.pts"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=words):
        w300(folders, "train")


def test_what_is_missing_is_named(folders: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'test'"):
        w300(folders, "test")
    with pytest.raises(DatasetError, match="ibug is not a folder"):
        w300(folders, "challenging")
    (folders / TRAIN[2] / "face.png").unlink()
    with pytest.raises(DatasetError, match=r"face\.pts has no image \.jpg or \.png beside it"):
        w300(folders, "train")
    (folders / TRAIN[2] / "face.pts").unlink()
    with pytest.raises(DatasetError, match=r"trainset holds no \.pts files"):
        w300(folders, "train")
