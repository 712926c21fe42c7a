"""Rendered sequences: what is said of every face is what is drawn, on disk as in 300VW."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.datasets.w300vw import CATEGORIES, sequences, w300vw
from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import as_68
from atpn_deploy.renderer.screenplay import Actor, Bar, Key, Shot
from atpn_deploy.renderer.sequence import SequenceFrame, rendered_sequence
from atpn_deploy.renderer.sequence_files import write_sequence
from atpn_deploy.renderer.studio import FaceStudio, open_studio

pytestmark = pytest.mark.needs("torch", "opencv", "shared")

SIZE = (150, 200)
#: A walk, four frames of it behind a bar; then away over the right border for four, and back.
WALK = (Key(0, 0.45, 0.5, 0.5), Key(11, 0.5, 0.5, 0.5, yaw=20, jaw=0.5))
AWAY = tuple(Key(k, x, 0.5, 0.5) for k, x in ((0, 0.5), (3, 0.6), (4, 1.6), (7, 1.6), (8, 0.75)))
SHOTS = (
    Shot(12, (Actor(1, WALK),), (Bar(4, 8, 0.1, 0.0, 0.9, 1.0),)),
    Shot(12, (Actor(1, AWAY),)),
    Shot(3, (Actor(2, (Key(0, 0.25, 0.5, 0.4),)),)),
    Shot(1, (Actor(2, (Key(0, 0.25, 0.5, 0.4),)), Actor(3, (Key(0, 0.25, 0.5, 0.45),)))),
)


@pytest.fixture(scope="module")
def studio(shared_data: Path) -> FaceStudio:
    return open_studio(shared_data / "facemodel_ict_mit" / "ict_facekit_light_f16.npz")


@pytest.fixture(scope="module")
def film(studio: FaceStudio) -> list[SequenceFrame]:
    return list(rendered_sequence(studio, SHOTS, seed=7, size=SIZE))


def test_frames_count_on_over_cuts(film) -> None:
    assert [frame.index for frame in film] == list(range(28))
    assert [frame.time_s for frame in film] == pytest.approx([k / 25 for k in range(28)])
    assert [frame.shot for frame in film] == [0] * 12 + [1] * 12 + [2] * 3 + [3]
    assert {frame.image.shape for frame in film} == {(150, 200, 3)}


def test_a_face_at_rest_lies_where_its_key_says(film) -> None:
    (face,) = film[0].faces
    low, high = face.points.min(0), face.points.max(0)
    assert (low + high) / 2 == pytest.approx((0.45 * 200, 0.5 * 150), abs=1)
    assert (high - low).max() == pytest.approx(0.5 * 150, rel=0.02)
    assert film[11].faces[0].pose == pytest.approx(np.radians((20, 0, 0)))


def test_points_are_those_of_one_face_drawn_alone(studio, film) -> None:
    """The same head through the renderer's own camera, at the place where the key puts it."""
    from atpn_deploy.renderer.camera import Camera
    from atpn_deploy.renderer.face_points import points_in_picture
    from atpn_deploy.renderer.sequence import DISTANCE_CM, _expression, _person

    key, person = SHOTS[0].actors[0].at(6), _person(studio, 7, 1)
    from atpn_deploy.pose import rotation

    scale = key.size * SIZE[0] / person.extent_cm
    centre = np.array((key.x * SIZE[1], key.y * SIZE[0])) - scale * person.middle_cm
    camera = Camera(rotation(np.radians((key.yaw, 0, 0))), DISTANCE_CM, scale, centre)
    head = studio.model.shape(person.identity, _expression(key))
    expected = points_in_picture(
        studio.paths, head, camera.project, lean=camera.lean, ahead=camera.ahead
    )
    np.testing.assert_allclose(film[6].faces[0].points, expected, atol=1e-3)


def test_a_bar_covers_and_a_border_cuts_off(film) -> None:
    assert [frame.faces[0].seen for frame in film[:12]] == [True] * 4 + [False] * 4 + [True] * 4
    assert all(frame.faces[0].in_picture for frame in film[:12])
    assert film[5].faces[0].covered.all()
    away = [not frame.faces[0].in_picture for frame in film[12:24]]
    assert away[4:8] == [True] * 4
    assert not any(away[:4] + away[8:])


def test_who_stands_in_front_hides_who_stands_behind(film) -> None:
    behind, before = film[-1].faces
    assert (behind.person, before.person) == (2, 3)
    assert not behind.seen
    assert behind.in_picture
    assert before.seen
    assert not before.covered.any()


def test_the_face_is_drawn_where_its_points_are(film) -> None:
    """Between two frames without a bar most of what changes lies round the face."""
    one, other = film[0], film[11]
    changed = np.abs(one.image.astype(int) - other.image).sum(-1) > 60
    row, column = np.nonzero(changed)
    low = np.minimum(one.faces[0].points, other.faces[0].points).min(0)
    high = np.maximum(one.faces[0].points, other.faces[0].points).max(0)
    assert low[0] - 40 < np.median(column) < high[0] + 40
    assert low[1] - 40 < np.median(row) < high[1] + 60


def test_a_seed_gives_the_same_film_and_another_one_another(studio, film) -> None:
    shot = (replace(SHOTS[0], frames=1),)
    (again,) = rendered_sequence(studio, shot, seed=7, size=SIZE)
    assert np.array_equal(again.image, film[0].image)
    (other,) = rendered_sequence(studio, shot, seed=8, size=SIZE)
    assert not np.array_equal(other.image, film[0].image)


@pytest.fixture(scope="module")
def folder(film, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film") / "rendered_video" / "C" / "short"
    assert write_sequence(film, folder) == (28, 24)
    return folder


def test_the_layout_is_300vws(folder, film) -> None:
    runs = sequences(folder, "C")
    assert [(run.first, len(run)) for run in runs] == [(0, 16), (20, 8)]
    for run in runs:
        for k, image in enumerate(run.frames()):
            frame = film[run.first + k]
            np.testing.assert_allclose(run.points[k], as_68(frame.faces[0].points), atol=1e-3)
            assert np.abs(image.astype(int) - frame.image).mean() < 4  # Motion JPEG


def test_all_points_of_all_faces_are_beside_it(folder, film) -> None:
    lines = [json.loads(line) for line in (folder / "faces.jsonl").read_text().splitlines()]
    assert len(lines) == len(film)
    last = lines[-1]["faces"]
    assert [(face["person"], face["seen"]) for face in last] == [(2, False), (3, True)]
    assert np.array(last[1]["points"]) == pytest.approx(film[-1].faces[1].points, abs=1e-3)
    assert lines[12]["shot"] == 1
    assert lines[11]["faces"][0]["yaw_pitch_roll"] == pytest.approx((np.radians(20), 0, 0))


def test_what_is_there_is_not_overwritten(folder, film) -> None:
    with pytest.raises(DatasetError, match="cannot be written: File exists"):
        write_sequence(film, folder)


def test_the_protocol_counts_what_the_scene_shows(folder, film, tmp_path: Path) -> None:
    """The shipped network on the official layout: only what the scene hides or moves away fails.

    Of the 24 labelled frames four are behind the bar, and as the next crop comes from the
    annotation each of them fails by itself. One cut puts a face where none was: it fails once.
    Frames in which the face is away are not labelled: they divide the video.
    """
    from atpn_deploy.evaluation.network import of_checkpoint
    from atpn_deploy.evaluation.video import measure_video
    from atpn_deploy.weights import shipped

    for names in CATEGORIES.values():
        for name in names:
            (tmp_path / "300VW").mkdir(exist_ok=True)
            (tmp_path / "300VW" / name).symlink_to(folder, target_is_directory=True)
    runs = [run for run in w300vw(tmp_path / "300VW", "C") if run.name == CATEGORIES["C"][0]]
    assert len(w300vw(tmp_path / "300VW", "A")) == 2 * 31
    (result,) = measure_video([of_checkpoint(shipped("atpn-lite"))], runs, "rendered")
    figures = result.categories["C"]
    assert figures.sequences == 2
    assert figures.failure_frames == 4 + 1
    assert figures.detection_frames == figures.sequences + figures.failure_frames
    assert figures.tracking_frames == 24 - figures.detection_frames
    assert figures.failure_percent == pytest.approx(100 * 5 / 24)


def test_atpn_eval_finds_rendered_sequences(folder) -> None:
    from atpn_deploy.evaluation.sources import trials_in

    (trial,) = trials_in(folder.parents[2], ["video"])
    assert (trial.dataset, trial.size) == ("rendered sequences", 24)


def test_the_command_writes_a_folder_a_screenplay(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from atpn_deploy.cli.render import app
    from atpn_deploy.renderer import screenplay

    short = (Shot(2, (Actor(1, (Key(0, 0.5, 0.5, 0.4),)),)),)
    plays = {name: screenplay.Screenplay(name, "A", short) for name in ("one", "two")}
    monkeypatch.setattr(screenplay, "SCREENPLAYS", plays)
    model = shared_data / "facemodel_ict_mit" / "ict_facekit_light_f16.npz"
    wanted = ["--face-model", str(model), "--output", str(tmp_path), "--sequence"]
    result = CliRunner().invoke(app, [*wanted, "all"])
    assert result.exit_code == 0, result.output
    assert "2 frames, 2 labelled" in result.output
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    files = ("annot/000001.pts", "annot/000002.pts", "faces.jsonl", "vid.avi")
    assert written == [f"A/{name}/{file}" for name in plays for file in files]
    refused = CliRunner().invoke(app, [*wanted, "three"])
    assert "'three'; choose one of one, two or all" in str(refused.exception)
