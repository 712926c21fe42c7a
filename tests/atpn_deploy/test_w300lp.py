"""300W-LP and AFLW2000-3D: which files belong to which split, and what a .mat holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from atpn_deploy.datasets.w300lp import aflw2000, helen_test_names, w300lp
from atpn_deploy.errors import DatasetError

POSE = (0.1, -0.4, 0.2)  # pitch, yaw, roll


@pytest.fixture
def write_face(write_photo, spread_points):
    """`write_face(path without suffix, **variables)`: a photograph and its .mat."""

    def write(path: Path, **variables: Any) -> None:
        write_photo(path.with_suffix(".jpg"))
        points = spread_points(68, 50, 30, 80).T
        points[:, 30] = 84.5, 64.5  # the dot's centre, counted from 1
        values: dict[str, Any] = {
            "Pose_Para": [[*POSE, 10.0, 20.0, 0.0, 1e-3]],
            "pt2d": points,
            "pt3d_68": np.vstack((points, np.zeros(68))),
        }
        savemat(str(path.with_suffix(".mat")), values | variables)

    return write


@pytest.fixture
def tree(tmp_path: Path, write_face) -> Path:
    root = tmp_path / "300W_LP"
    for name in (
        "AFW/AFW_1051618982_1_0",
        "AFW/AFW_1051618982_1_3",
        "HELEN/HELEN_100032540_1_0",
        "HELEN/HELEN_296814969_3_0",
        "LFPW/LFPW_image_train_0001_0",
        "LFPW/LFPW_image_test_0001_0",
        "LFPW/LFPW_image_test_0001_2",
        "IBUG/IBUG_image_003_1_0",
        "AFW_Flip/AFW_1051618982_1_0",
        "HELEN_Flip/HELEN_296814969_3_0",
        "LFPW_Flip/LFPW_image_train_0001_0",
        "IBUG_Flip/IBUG_image_003_1_0",
    ):
        write_face(root / name)
    return root


def names(root: Path, split: str, **options: Any) -> list[str]:
    faces = w300lp(root, split, **options)
    return [Path(name.split(" ")[0]).stem for name in faces.names]


def test_a_split_is_that_of_300w_without_turned_copies(tree: Path) -> None:
    known = {"296814969_3"}
    assert names(tree, "train", helen_test=known) == [
        "AFW_1051618982_1_0",
        "HELEN_100032540_1_0",
        "LFPW_image_train_0001_0",
    ]
    common = ["HELEN_296814969_3_0", "LFPW_image_test_0001_0"]
    assert names(tree, "common", helen_test=known) == common
    assert names(tree, "challenging") == ["IBUG_image_003_1_0"]
    assert sorted(names(tree, "full", helen_test=known)) == sorted([*common, "IBUG_image_003_1_0"])


def test_without_helens_list_all_of_helen_is_training(tree: Path) -> None:
    assert "HELEN_296814969_3_0" in names(tree, "train")
    assert names(tree, "common") == ["LFPW_image_test_0001_0"]


def test_turned_and_flipped_copies_stay_in_the_split_of_their_photograph(tree: Path) -> None:
    found = names(tree, "train", helen_test={"296814969_3"}, synthetic=True)
    assert found.count("AFW_1051618982_1_0") == 2
    assert "AFW_1051618982_1_3" in found
    assert not any("296814969" in name or "test" in name or "IBUG" in name for name in found)


def test_helens_test_photographs_are_named_by_300w(tmp_path: Path) -> None:
    folder = tmp_path / "helen" / "testset"
    folder.mkdir(parents=True)
    (folder / "296814969_3.pts").write_text("")
    (folder / "296814969_3.jpg").write_text("")
    assert helen_test_names(tmp_path) == {"296814969_3"}
    with pytest.raises(DatasetError, match="expected 300W's test photographs of HELEN"):
        helen_test_names(tmp_path / "helen")


def test_points_and_pose_are_read_in_our_conventions(tree: Path, dot_centre) -> None:
    faces = w300lp(tree, "challenging", largest=None)
    pitch, yaw, roll = POSE
    np.testing.assert_allclose(faces.pose, [(yaw, pitch, roll)], atol=1e-6)
    np.testing.assert_allclose(dot_centre(faces.images[0]), faces.points[0][30], atol=0.1)


def test_aflw2000_leaves_out_heads_turned_beyond_99_degrees(tmp_path: Path, write_face) -> None:
    write_face(tmp_path / "image00002")
    for index, angle in enumerate((98.9, -99.1, 99.1)):
        pose = np.zeros((1, 7))
        pose[0, index] = np.radians(angle)
        write_face(tmp_path / f"image0000{4 + index}", Pose_Para=pose)
    faces = aflw2000(tmp_path)
    assert len(faces) == 2
    assert faces.pose[1, 1] == pytest.approx(np.radians(98.9), abs=1e-5)  # the pitch


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"pt2d": np.zeros((2, 21))}, r"pt2d is \(2, 21\)"),
        ({"Pose_Para": [[np.nan, 0, 0]]}, "Pose_Para is"),
        ({"pt2d": np.full((2, 68), np.nan)}, "not one of its points"),
        ({"pt2d": np.ones((2, 68))}, "0 x 0 pixels"),
    ],
)
def test_wrong_values_are_named(
    tree: Path, write_face, variables: dict[str, Any], words: str
) -> None:
    write_face(tree / "IBUG" / "IBUG_image_003_1_0", **variables)
    with pytest.raises(DatasetError, match=words) as raised:
        w300lp(tree, "challenging")
    assert "IBUG_image_003_1_0.mat" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no mat file at all" * 20, None])
def test_a_damaged_mat_is_named(tree: Path, content: bytes | None) -> None:
    path = tree / "IBUG" / "IBUG_image_003_1_0.mat"
    path.write_bytes(path.read_bytes()[:900] if content is None else content)
    with pytest.raises(DatasetError, match=r"IBUG_image_003_1_0\.mat (is damaged|has no)"):
        w300lp(tree, "challenging")


def test_what_is_missing_is_named(tree: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'test'"):
        w300lp(tree, "test")
    savemat(str(tree / "IBUG" / "IBUG_image_003_1_0.mat"), {"pt2d": np.zeros((2, 68))})
    with pytest.raises(DatasetError, match="has no Pose_Para"):
        w300lp(tree, "challenging")
    (tree / "IBUG" / "IBUG_image_003_1_0.mat").unlink()
    with pytest.raises(DatasetError, match=r"holds no \.mat files of the split 'challenging'"):
        w300lp(tree, "challenging")
    with pytest.raises(DatasetError, match="AFW is not a folder"):
        w300lp(tree / "AFW", "train")
    with pytest.raises(DatasetError, match=r"holds no \.mat files; expected those of AFLW2000"):
        aflw2000(tree)
