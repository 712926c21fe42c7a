from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.cli import track
from atpn_deploy.crop import Box
from atpn_deploy.detectors import registry
from atpn_deploy.errors import ArtifactError
from atpn_deploy.photo import read_photo, write_photo

pytestmark = pytest.mark.needs("opencv")
pytest.importorskip("PIL", reason="Pillow is not at hand")
opening = pytest.importorskip("atpn_exporters.opening")


class StubSession:
    """A file that sees the same face in every crop."""

    output_names: tuple[str, ...] = ("landmarks", "pose", "confidence")
    runtime = "stub 1.0"
    confidence = 0.9

    def __enter__(self) -> StubSession:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        turn = np.linspace(0, 2 * np.pi, 98, endpoint=False)
        landmarks = 0.5 + np.stack((np.cos(turn), np.sin(turn)), -1) / 3
        return {
            "landmarks": landmarks[None].astype(np.float32),
            "pose": np.radians([[10, -20, 30]]).astype(np.float32),
            "confidence": np.array([[self.confidence]], np.float32),
        }


class TwoProposals:
    def propose(self, image: np.ndarray) -> list[Box]:
        return [Box(10, 10, 50), Box(80, 20, 70)]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> StubSession:
    stub = StubSession()
    monkeypatch.setattr(opening, "open_file", lambda path, options: stub)
    monkeypatch.setattr(registry, "open_detector", lambda text, **_: TwoProposals())
    return stub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    write_photo(image, tmp_path / "photo.png")
    (tmp_path / "model.tflite").write_bytes(b"model")
    return tmp_path


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`run(*options)` to (exit status, stdout, stderr) of atpn-track on the photo in `folder`."""

    def command(*options: object, photo: str = "photo.png") -> tuple[int, str, str]:
        model = str(folder / "model.tflite")
        words = ["atpn-track", str(folder / photo), "--model", model, *map(str, options)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            track.main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return command


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_picture_and_the_json_are_written(run, folder, session):
    status, out, err = run("--output", folder / "out.png", "--json", folder / "out.json")

    facts = json.loads((folder / "out.json").read_text())
    assert (status, err) == (0, "")
    assert "2 faces" in out
    assert (read_photo(folder / "out.png") != read_photo(folder / "photo.png")).any()
    assert (facts["width"], facts["height"]) == (160, 120)
    assert facts["model"] == {
        "file": "model.tflite",
        "sha256": hashlib.sha256(b"model").hexdigest(),
        "runtime": "stub 1.0",
    }
    large, small = facts["faces"]
    assert large["box"]["side"] > small["box"]["side"]
    assert large["box"]["left"] == pytest.approx(80, abs=1)
    assert large["pose_degrees"] == {"yaw": 10.0, "pitch": -20.0, "roll": 30.0}
    assert large["confidence"] == pytest.approx(0.9)
    assert np.shape(large["landmarks"]) == (98, 2)
    assert np.mean(large["landmarks"], 0) == pytest.approx((115, 55), abs=0.5)
    assert files(folder) == ["model.tflite", "out.json", "out.png", "photo.png"]


def test_given_boxes_stand_in_for_the_detector(run, folder, session):
    (folder / "boxes.csv").write_text("left,top,width,height,framing\n20,30,60,60,square\n")

    status, out, _ = run("--json", "-", "--boxes", folder / "boxes.csv")

    assert status == 0
    assert [face["box"]["left"] for face in json.loads(out)["faces"]] == [pytest.approx(20, abs=1)]


def test_json_on_standard_output_is_json_alone(run, folder, session):
    status, out, _ = run("--json", "-", "--output", folder / "out.png", "--max-faces", "1")

    assert status == 0
    assert len(json.loads(out)["faces"]) == 1


def test_no_face_is_status_3_and_still_answers(run, folder, session):
    session.confidence = 0.69

    status, out, err = run("--json", "-", "--output", folder / "out.png")

    assert status == 3
    assert err == f"no face found in {folder / 'photo.png'} above confidence 0.7\n"
    assert json.loads(out)["faces"] == []
    assert np.array_equal(read_photo(folder / "out.png"), read_photo(folder / "photo.png"))


def test_the_threshold_is_an_option(run, session):
    session.confidence = 0.5

    assert run("--json", "-", "--threshold", "0.4")[0] == 0
    assert run("--json", "-", "--threshold", "1.4")[0] == 2


def test_an_existing_file_is_kept_unless_forced(run, folder, session):
    (folder / "out.png").write_text("mine")

    status, _, err = run("--output", folder / "out.png")

    assert status == 2
    assert "exists; add --force" in err
    assert (folder / "out.png").read_text() == "mine"
    assert run("--output", folder / "out.png", "--force")[0] == 0
    assert read_photo(folder / "out.png").shape == (120, 160, 3)


def test_crops_are_square_calibration_images(run, folder, session):
    assert run("--crops", folder / "crops")[0] == 0

    assert files(folder / "crops") == ["photo-01.png", "photo-02.png"]
    assert read_photo(folder / "crops" / "photo-01.png").shape == (112, 112, 3)
    assert "add --force" in run("--crops", folder / "crops")[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to write; give --output FILE"),
        (("--output", "{}/out.txt"), "expected one of .png"),
        (("--output", "{}/absent/out.png"), "absent is not a folder"),
        (("--output", "{}/photo.png", "--force"), "is the input itself"),
        (("--output", "{}/a.png", "--json", "{}/a.png"), "are the same file"),
        (("--json", "{}"), "is a folder; expected a file name"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(run, folder, options, message):
    before = files(folder)

    status, out, err = run(*(option.format(folder) for option in options))

    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert files(folder) == before


def test_a_failing_write_leaves_nothing(run, folder, session, monkeypatch):
    def full(image: np.ndarray, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("atpn_deploy.photo.write_photo", full)

    status, _, err = run("--output", folder / "out.png")

    assert status == 2
    assert "out.png cannot be written: No space left on device" in err
    assert files(folder) == ["model.tflite", "photo.png"]


def test_a_folder_without_write_permission_is_named(run, folder, session, monkeypatch):
    locked = folder / "locked"
    locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != locked)  # root may write

    status, _, err = run("--output", locked / "out.png")

    assert status == 2
    assert "is not writable" in err


def test_a_photo_that_is_none_is_one_line(run, folder, session):
    (folder / "notes.jpg").write_text("hello")

    status, _, err = run("--json", "-", photo="notes.jpg")

    assert status == 2
    assert err.count("\n") == 1
    assert "notes.jpg is not an image" in err


def test_a_file_without_all_tasks_is_refused(run, folder, session):
    session.output_names = ("landmarks",)

    status, _, err = run("--json", "-")

    assert status == 2
    assert "model.tflite: the file computes no pose and no confidence" in err
    assert "--signature full" in err


def test_a_missing_model_is_one_line(run, folder, monkeypatch):
    (folder / "model.tflite").unlink()

    status, _, err = run("--json", "-")

    assert status == 2
    assert err.count("\n") == 1
    assert "model.tflite does not exist" in err


def test_a_refusal_to_open_is_passed_on(run, session, monkeypatch):
    def refuse(path: Path, options: object) -> None:
        raise ArtifactError(f"{path} is no model")

    monkeypatch.setattr(opening, "open_file", refuse)

    assert run("--json", "-")[0] == 2


def test_help_names_the_exit_status(run):
    _, out, _ = run("--help")

    assert "3 no face found" in " ".join(out.split())
