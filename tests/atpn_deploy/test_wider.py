"""WIDER FACE's lists, with the quirks that the official ones have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.datasets.scenes import LANDMARK_TOP
from atpn_deploy.datasets.wider import wider, wider_scenes
from atpn_deploy.errors import DatasetError

LIST = """\
0--Parade/a.jpg
3
50 30 80 100 0 0 0 0 0 0 \n\
10 10 59 80 1 0 0 0 0 0 \n\
100 40 70 90 0 0 0 1 0 0 \n\
0--Parade/empty.jpg
0
0 0 0 0 0 0 0 0 0 0 \n\
1--Handshaking/b.jpg
2
40 20 0 90 0 0 0 0 0 0 \n\
60 20 90 60 2 1 1 0 2 1 \n\
"""


@pytest.fixture
def tree(tmp_path: Path, write_photo) -> Path:
    for name in ("0--Parade/a", "0--Parade/empty", "1--Handshaking/b"):
        write_photo(tmp_path / "WIDER_train" / "images" / f"{name}.jpg", dot=(86, 126))
    (tmp_path / "wider_face_split").mkdir()
    (tmp_path / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_text(LIST)
    return tmp_path


def edit(tree: Path, old: str, new: str) -> None:
    path = tree / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_photograph_without_faces_has_none(tree: Path) -> None:
    scenes = wider_scenes(tree, "train")
    assert [len(boxes) for boxes in scenes.boxes] == [3, 0, 1]
    assert [usable.tolist() for usable in scenes.usable] == [[True, True, False], [], [True]]
    assert scenes.boxes[0][0].tolist() == [50, 30, 130, 130]
    assert scenes.images[1].shape == (160, 200, 3)


def test_faces_are_valid_large_and_without_points(tree: Path, dot_centre) -> None:
    faces = wider(tree, "train", largest=None)
    assert faces.points.shape == (2, 0, 2)
    assert [name.rsplit("/", 2)[-2:] for name in faces.names] == [
        ["wider_face_train_bbx_gt.txt:3 (0--Parade", "a.jpg)"],
        ["wider_face_train_bbx_gt.txt:12 (1--Handshaking", "b.jpg)"],
    ]
    left, top, right, bottom = faces.boxes[0]
    assert (right - left, bottom - top) == pytest.approx((80, 100 * (1 - LANDMARK_TOP)), abs=1e-3)
    # The white block's centre is at the middle of the lower border of the first face.
    np.testing.assert_allclose(dot_centre(faces.images[0]), ((left + right) / 2, bottom), atol=0.1)
    assert len(wider(tree, "train", smallest=59)) == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\n3\n", "\n4\n", r"gt\.txt:2: 4 faces were announced for 0--Parade/a\.jpg, fewer"),
        ("\n3\n", "\n2\n", r"gt\.txt:5: '100 40 .*' came, an image's name"),
        ("\n3\n", "\nx\n", r"gt\.txt:2: 'x' came, a number of faces"),
        ("10 10 59 80 1", "10 10 59", r"gt\.txt:4: 8 numbers came, 10 were expected"),
        ("10 10 59 80 1", "10 10 59 eighty 1", r"gt\.txt:4: could not convert"),
        ("60 20 90 60 2 1 1 0 2 1 \n", "", r"gt\.txt:10: 2 faces were announced"),
        ("1--Handshaking/b", "0--Parade/a", r"gt\.txt:1 and .*gt\.txt:9 both list 0--Parade/a"),
        ("1--Handshaking/b", "1--Handshaking/c", r"gt\.txt:9: .*c\.jpg does not exist"),
    ],
)
def test_a_wrong_line_is_named(tree: Path, old: str, new: str, words: str) -> None:
    edit(tree, old, new)
    with pytest.raises(DatasetError, match=words):
        wider_scenes(tree, "train")


def test_what_is_missing_is_named(tree: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'test'; choose one of train, val"):
        wider(tree, "test")
    with pytest.raises(DatasetError, match=r"wider_face_val_bbx_gt\.txt cannot be read"):
        wider(tree, "val")
    with pytest.raises(DatasetError, match="no face of at least 200 pixels in 3 images"):
        wider(tree, "train", smallest=200)
    (tree / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_text("\n")
    with pytest.raises(DatasetError, match="is empty"):
        wider(tree, "train")
