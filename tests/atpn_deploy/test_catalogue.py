"""The catalogue of data sets: what is found, what may be trained on, and how sets are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.datasets import catalogue
from atpn_deploy.datasets.catalogue import (
    DATASETS,
    USES,
    found,
    named,
    training_faces,
    training_negatives,
    training_sets,
)
from atpn_deploy.datasets.faces import FaceSet, unknown_pose
from atpn_deploy.datasets.markup import LIDS, as_points
from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import POINTS_68_OF_98


def face_set(count: int, points: int, level: int = 0) -> FaceSet:
    rng = np.random.default_rng(level)
    return FaceSet(
        [np.full((8, 8, 3), level, np.uint8)] * count,
        np.repeat(np.array([[1, 2, 5, 8]], np.float32), count, 0),
        rng.uniform(1, 5, (count, points, 2)).astype(np.float32),
        np.ones((count, points), np.float32),
        unknown_pose(count),
        ("x",) * count,
    )


def test_every_record_is_whole() -> None:
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS)
    for dataset in DATASETS:
        assert dataset.marks
        assert dataset.licence
        assert set(dataset.offers) <= set(USES)
        assert (dataset.negatives is not None) == ("negatives" in dataset.offers)
        assert (dataset.videos is not None) == ("video" in dataset.offers)
        of_faces = {"alignment98", "alignment68", "pose", "boxes"}
        assert (dataset.faces is not None) == bool(of_faces & set(dataset.offers))


def test_only_what_its_marks_say_is_found(tmp_path: Path) -> None:
    (tmp_path / "WFLW").mkdir()
    (tmp_path / "train98").mkdir()  # without the images that lie in another pack
    assert [dataset.name for dataset in found(tmp_path)] == ["wflw", "wflw-test"]


def test_an_empty_folder_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no data set; looked for .*300VW.*WFLW.*train98"):
        found(tmp_path)
    (tmp_path / "WFLW").mkdir()
    with pytest.raises(DatasetError, match="holds nothing to train pose on; such is train98, "):
        training_faces(tmp_path, "pose")


def test_what_is_for_evaluation_is_never_trained_on(tmp_path: Path) -> None:
    for name in ("WFLW", "wflw_dev", "AFLW2000", "300W_LP"):
        (tmp_path / name).mkdir()
    assert [d.name for d in training_sets(tmp_path, "alignment98")] == ["wflw"]
    assert [d.name for d in training_sets(tmp_path, "pose")] == ["300w-lp"]
    for name in ("wflw-dev", "wflw-test", "aflw2000", "300w-lp-common"):
        with pytest.raises(DatasetError, match=f"{name} is to be measured on"):
            training_sets(tmp_path, "boxes", ["wflw", name])


@pytest.mark.parametrize(
    ("use", "names", "words"),
    [
        ("alignment98", ["wflv"], "no data set is called 'wflv'; choose of train98, "),
        ("alignment98", ["london"], r"london is not there: .*london_ccby is missing"),
        ("pose", ["wflw"], "wflw holds nothing to train pose on; such is train98, "),
        ("points", None, "'points' is no use of data; choose one of alignment98, "),
    ],
)
def test_a_wrong_request_is_refused(tmp_path: Path, use: str, names, words: str) -> None:
    (tmp_path / "WFLW").mkdir()
    with pytest.raises(DatasetError, match=words):
        training_faces(tmp_path, use, names)


def test_a_named_set_serves_the_uses_that_it_has(tmp_path: Path) -> None:
    for name in ("WFLW", "300W_LP", "london_ccby"):
        (tmp_path / name).mkdir()
    names = ["300w-lp", "wflw"]
    uses = {use: [d.name for d in training_sets(tmp_path, use, names)] for use in USES[:4]}
    assert uses == {
        "alignment98": ["wflw"],
        "alignment68": ["300w-lp"],
        "pose": ["300w-lp"],
        "boxes": ["300w-lp", "wflw"],
    }


def test_names_come_in_the_order_asked_for() -> None:
    assert [d.name for d in named(["wider", "wflw"])] == ["wider", "wflw"]


def test_sets_of_different_markup_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [face_set(2, 98, 1), face_set(3, 68, 2), face_set(1, 0, 3)]
    records = [
        replace(dataset, marks=(".",), faces=lambda data, faces=faces: faces)
        for dataset, faces in zip(named(["wflw", "300w", "wider"]), sets, strict=True)
    ]
    negatives = replace(records[2], negatives=lambda data: [np.zeros((112, 112, 3), np.uint8)])
    monkeypatch.setattr(catalogue, "DATASETS", (*records[:2], negatives))
    for points in (98, 68):
        joined = training_faces(tmp_path, "boxes", points=points)
        assert joined.points.shape == (6, points, 2)
        assert [int(image[0, 0, 0]) for image in joined.images] == [1, 1, 2, 2, 2, 3]
    assert len(training_faces(tmp_path, "alignment98")) == 2
    assert len(training_negatives(tmp_path)) == 1


def test_68_points_become_the_sixty_that_98_share() -> None:
    faces = face_set(2, 68)
    faces.weights[0, 30] = 0
    turned = as_points(faces, 98)
    assert (turned.weights > 0).sum(1).tolist() == [59, 60]
    shared = [k for k in range(68) if k not in LIDS]
    places = [POINTS_68_OF_98[k] for k in shared]
    np.testing.assert_array_equal(turned.points[1, places], faces.points[1, shared])
    assert turned.points[0, POINTS_68_OF_98[30]].tolist() == [3, 5]  # the centre of the box
    assert turned.points[turned.weights == 0].tolist() == [[3, 5]] * (39 + 38)


def test_98_points_become_68_and_boxes_become_points_without_weight() -> None:
    faces = face_set(1, 98)
    turned = as_points(faces, 68)
    np.testing.assert_array_equal(turned.points[0], faces.points[0, list(POINTS_68_OF_98)])
    boxes_alone = as_points(face_set(2, 0), 98)
    assert boxes_alone.points.shape == (2, 98, 2)
    assert not boxes_alone.weights.any()
    with pytest.raises(DatasetError, match="68 points can't be turned into 21"):
        as_points(face_set(1, 68), 21)


def test_the_page_on_data_sets_names_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    tables = "".join(line for line in page.splitlines() if line.startswith("|"))
    assert [d.name for d in DATASETS if f"`{d.name}`" not in tables] == []
