"""Which data sets are measured on, and that the development packs give the expected counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.alignment import measure_alignment
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.sources import SOURCES, Recent, trials_in
from atpn_deploy.evaluation.trials import TASKS

pytestmark = pytest.mark.needs("opencv")


def perfect(name: str = "perfect") -> Network:
    """Sees no image: every point in the middle, straight ahead, sure of nothing."""

    def predict(crops: np.ndarray) -> dict[str, np.ndarray]:
        count = len(crops)
        return {
            "landmarks": np.full((count, 98, 2), 0.5, np.float32),
            "pose": np.zeros((count, 3), np.float32),
            "confidence": np.zeros((count, 1), np.float32),
        }

    return Network(name, "stub 1", "0", 98, ("landmarks", "pose", "confidence"), predict)


def test_every_task_has_a_source_and_titles_are_unique_in_a_task() -> None:
    assert {source.task for source in SOURCES} == set(TASKS)
    assert len({(source.task, source.title) for source in SOURCES}) == len(SOURCES)


def test_every_source_is_for_evaluation_only() -> None:
    from atpn_deploy.datasets.catalogue import named

    assert all(d.evaluation_only for source in SOURCES for d in named(source.needs))


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing to measure video on; looked for 300VW"):
        trials_in(tmp_path, ["video"])


def test_the_development_packs_are_found(shared_data: Path) -> None:
    trials = {(trial.task, trial.dataset): trial.size for trial in trials_in(shared_data)}
    assert trials[("alignment", "WFLW dev")] == 168
    assert trials[("pose", "AFLW2000-3D dev")] == 985
    assert trials[("tracking", "WIDER FACE dev")] == 97 + 940


def test_the_pose_of_a_frontal_guess_is_the_mean_angle(shared_data: Path) -> None:
    from atpn_deploy.datasets import packs

    (trial,) = trials_in(shared_data, ["pose"])
    (result,) = trial.measure([perfect()], lambda count: None)
    angles = np.degrees(np.abs(packs.aflw2000_dev(shared_data).pose))
    full = result.subsets["full"]
    expected = angles.mean(0).tolist()
    assert [full.yaw_deg, full.pitch_deg, full.roll_deg] == pytest.approx(expected, rel=1e-5)
    turned = angles[:, 0] > 30
    assert result.subsets["challenging"].faces == turned.sum()
    assert result.subsets["common"].faces == (~turned).sum()


def test_attributes_of_the_development_faces_are_measured(shared_data: Path) -> None:
    from atpn_deploy.datasets import packs

    faces = packs.wflw_dev(shared_data)
    (result,) = measure_alignment([perfect()], faces, "WFLW dev")
    assert faces.attributes is not None
    assert [f.faces for f in result.subsets.values()] == [168, *faces.attributes.sum(0)]


def test_a_photograph_is_decoded_once_for_all_its_crops() -> None:
    asked: list[int] = []

    class Photographs(list[int]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            asked.append(index)
            return np.full((1, 1, 3), index, np.uint8)

    recent = Recent(Photographs([0, 0, 0]))
    assert [int(recent[i][0, 0, 0]) for i in (0, 0, 2, 2, 0)] == [0, 0, 2, 2, 0]
    assert asked == [0, 2, 0]
    assert len(recent) == 3


def test_300w_lp_is_measured_with_ibug_as_the_challenging_part(
    tmp_path: Path, write_photo, spread_points
) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    for folder, name, yaw in (
        ("IBUG", "IBUG_image_003_1_0", 0.5),
        ("LFPW", "LFPW_image_test_1_0", 0.1),
    ):
        path = tmp_path / "300W_LP" / folder / name
        write_photo(path.with_suffix(".jpg"))
        values = {
            "Pose_Para": [[0.0, yaw, 0.0, 0, 0, 0, 0]],
            "pt2d": spread_points(68, 50, 30, 80).T,
        }
        savemat(str(path.with_suffix(".mat")), values)
    for folder in ("AFW", "HELEN"):
        (tmp_path / "300W_LP" / folder).mkdir()

    (trial,) = trials_in(tmp_path, ["pose"])
    (result,) = trial.measure([perfect()], lambda count: None)
    assert trial.dataset == "300W-LP"
    yaws = {name: figures.yaw_deg for name, figures in result.subsets.items()}
    expected = {"full": 0.3, "common": 0.1, "challenging": 0.5}
    assert yaws == pytest.approx({name: np.degrees(v) for name, v in expected.items()}, rel=1e-5)


def test_wider_faces_stand_against_ten_backgrounds_a_photograph(
    tmp_path: Path, write_photo
) -> None:
    write_photo(tmp_path / "WIDER" / "WIDER_val" / "images" / "0--Parade" / "a.jpg")
    lists = tmp_path / "WIDER" / "wider_face_split"
    lists.mkdir()
    (lists / "wider_face_val_bbx_gt.txt").write_text(
        "0--Parade/a.jpg\n2\n50 30 80 100 0 0 0 0 0 0\n10 10 59 80 1 0 0 0 0 0\n"
    )
    done: list[int] = []

    (trial,) = trials_in(tmp_path, ["tracking"])
    (result,) = trial.measure([perfect()], done.append)
    assert (result.faces, result.negatives) == (1, 10)  # a face of 59 pixels is too small
    assert result.average_precision == pytest.approx(1 / 11)  # equal scores: the share of faces
    assert sum(done) == trial.size == 11


def test_300vw_is_measured_by_category(tmp_path: Path, spread_points) -> None:
    import cv2

    from atpn_deploy.datasets.w300vw import CATEGORIES

    rows = "\n".join(f"{x} {y}" for x, y in spread_points(68, 20, 10, 24))
    for name in (name for names in CATEGORIES.values() for name in names):
        folder = tmp_path / "300VW" / name
        (folder / "annot").mkdir(parents=True)
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(folder / "vid.avi"), codec, 25.0, (64, 48))
        for frame in (1, 2):
            writer.write(np.zeros((48, 64, 3), np.uint8))
            text = f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n"
            (folder / "annot" / f"{frame:06}.pts").write_text(text)
        writer.release()

    (trial,) = trials_in(tmp_path, ["video"])
    (result,) = trial.measure([perfect()], lambda count: None)
    assert trial.size == 2 * 64
    sequences = {name: figures.sequences for name, figures in result.categories.items()}
    assert sequences == {name: len(names) for name, names in CATEGORIES.items()}
    figures = result.categories["A"]
    # Never sure: every frame is a failure frame, and every crop comes from the annotation.
    assert (figures.detection_frames, figures.tracking_frames) == (2 * 31, 0)
    assert figures.failure_percent == 100
    assert figures.nme_tracking_percent == figures.nme_detection_percent
