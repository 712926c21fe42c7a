"""Several networks over several data sets, and the record of what came out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import ConfigError, DatasetError, ExportError
from atpn_deploy.evaluation import delivery
from atpn_deploy.evaluation.delivery import check_folder, deliver
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.record import CURVE_POINTS, SCHEMA_VERSION, record, record_text
from atpn_deploy.evaluation.results import (
    AlignmentFigures,
    AlignmentResult,
    Evaluation,
    PoseFigures,
    PoseResult,
    TrackingResult,
    VideoFigures,
    VideoResult,
)
from atpn_deploy.evaluation.tables import tables_of
from atpn_deploy.evaluation.trials import Trial, able, run_trials


def aligned(nme: float = 5.0) -> AlignmentResult:
    figures = AlignmentFigures(2, nme, 2 * nme, 0.0, 0.5)
    return AlignmentResult("WFLW dev", {"testset": figures}, np.array([nme, nme]) / 100)


def posed() -> PoseResult:
    figures = PoseFigures(1, 1.0, 2.0, 3.0, 2.0, 0.0)
    return PoseResult("AFLW2000-3D", {"full": figures}, np.array([[1.0, 2.0, 3.0]]))


def tracked(points: int = 2) -> TrackingResult:
    recall = np.linspace(0.5, 1, points)
    return TrackingResult("WIDER FACE dev", 2, 5, 0.9, np.ones(points), recall)


def filmed() -> VideoResult:
    return VideoResult("300VW test", {"A": VideoFigures(1, 2, 8, 1, 4.0, 4.5, 5.0, 5.5)})


def network(name: str, *outputs: str) -> Network:
    return Network(name, "stub 1", name * 8, 98, ("landmarks", *outputs), lambda crops: {})


WHOLE = network("whole", "pose", "confidence")
BARE = network("bare")
TRIALS = [
    Trial("alignment", "WFLW dev", 2, lambda networks, advance: [aligned() for _ in networks]),
    Trial("pose", "AFLW2000-3D", 1, lambda networks, advance: [posed() for _ in networks]),
    Trial("tracking", "WIDER FACE dev", 7, lambda networks, advance: [tracked() for _ in networks]),
    Trial("video", "300VW test", 10, lambda networks, advance: [filmed() for _ in networks]),
]


def whole_evaluation() -> Evaluation:
    (evaluation,) = run_trials([WHOLE], TRIALS)
    return evaluation


def test_each_result_goes_to_its_network_and_task() -> None:
    numbers = iter((3.0, 4.0))
    trial = Trial(
        "alignment", "WFLW dev", 2, lambda n, advance: [aligned(next(numbers)) for _ in n]
    )
    first, second = run_trials([WHOLE, BARE], [trial])
    assert (first.model, second.model) == ("whole", "bare")
    assert first.alignment[0].subsets["testset"].nme_percent == 3
    assert second.alignment[0].subsets["testset"].nme_percent == 4


def test_landmarks_alone_are_measured_for_alignment_alone() -> None:
    first, second = run_trials([BARE, WHOLE], TRIALS)
    assert [len(first.alignment), first.pose, first.tracking, first.video] == [1, (), (), ()]
    assert [len(r) for r in (second.alignment, second.pose, second.tracking, second.video)] == [
        1
    ] * 4
    assert able(BARE, "alignment")
    assert not able(BARE, "video")


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(DatasetError, match="nothing to measure"):
        run_trials([BARE], TRIALS[1:])


def test_two_data_sets_of_a_task_are_both_kept() -> None:
    (evaluation,) = run_trials([WHOLE], [TRIALS[0], TRIALS[0]])
    assert len(evaluation.alignment) == 2


def test_record_names_what_was_measured_with_what_and_on_how_many() -> None:
    written = json.loads(record_text([whole_evaluation()]))
    assert (written["schema"], written["schema_version"]) == ("atpn-eval", SCHEMA_VERSION)
    (evaluation,) = written["evaluations"]
    assert [evaluation[key] for key in ("model", "runtime", "sha256")] == [
        "whole",
        "stub 1",
        "whole" * 8,
    ]
    assert evaluation["alignment"][0]["subsets"]["testset"]["faces"] == 2
    assert evaluation["alignment"][0]["errors"] == [0.05, 0.05]
    assert evaluation["pose"][0]["errors_deg"] == [[1, 2, 3]]
    assert evaluation["tracking"][0]["negatives"] == 5
    assert evaluation["video"][0]["categories"]["A"]["failure_percent"] == 10


def test_what_is_not_a_number_is_null() -> None:
    evaluation = Evaluation("m", "r", "s", alignment=(aligned(float("nan")),))
    (result,) = json.loads(record_text([evaluation]))["evaluations"][0]["alignment"]
    assert result["subsets"]["testset"]["nme_percent"] is None
    assert result["errors"] == [None, None]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    evaluation = Evaluation("m", "r", "s", tracking=(tracked(100_000),))
    (result,) = record([evaluation])["evaluations"][0]["tracking"]
    assert len(result["recall"]) == len(result["precision"]) == CURVE_POINTS
    assert (result["recall"][0], result["recall"][-1]) == (0.5, 1)


@pytest.mark.needs("matplotlib")
def test_all_files_are_delivered_and_nothing_else_is_left(tmp_path: Path) -> None:
    evaluations = [whole_evaluation()]
    paths = deliver(evaluations, tables_of(evaluations), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ced-wflw-dev.png",
        "ced-wflw-dev.svg",
        "evaluation.json",
        "evaluation.md",
        "pose-ced-aflw2000-3d.png",
        "pose-ced-aflw2000-3d.svg",
        "precision-recall-wider-face-dev.png",
        "precision-recall-wider-face-dev.svg",
    ]
    assert all(path.is_file() for path in paths)
    text = (tmp_path / "out" / "evaluation.md").read_text()
    assert "`whole` | stub 1" in text
    assert "Table 1" in text


def test_half_an_evaluation_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(evaluations: object, folder: Path) -> None:
        (folder / "ced.png").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivery, "_draw", full_disk)
    with pytest.raises(ExportError, match="No space left on device"):
        deliver([whole_evaluation()], [], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_evaluation_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "evaluation.md").touch()
    with pytest.raises(ConfigError, match=r"evaluation\.md exists; add --force"):
        check_folder(tmp_path, force=False)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="is a file; expected a folder"):
        check_folder(tmp_path / "out", force=True)
