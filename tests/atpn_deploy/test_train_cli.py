"""atpn-train from official lists to weights: what is refused, and what a kill or Ctrl-C costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from atpn_deploy.cli import train
from atpn_deploy.training import memory, recipes
from atpn_deploy.training.stages import Stage
from atpn_deploy.weights import open_checkpoint

#: Batches of 4 and nothing measured at the end: the recipes' own would take minutes.
QUICK = "lambda number, samples: Stage(number, samples, batch_size=4, settling_samples=0)"
#: A background job of a shell ignores Ctrl-C, and so would everything that it starts.
COMMAND = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from atpn_deploy.cli.train import main
from atpn_deploy.training import recipes
from atpn_deploy.training.stages import Stage
recipes.RECIPES["tuned"] = {QUICK}
main()
"""

WIDER = """\
0--Parade/a.jpg
1
50 30 80 100 0 0 0 0 0 0
0--Parade/b.jpg
0
0 0 0 0 0 0 0 0 0 0
"""
FACES = 12

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path, write_photo, spread_points) -> Path:
    """WFLW's training list with twelve faces, and WIDER FACE with two photographs."""
    folder = tmp_path / "data"
    lines = []
    for index in range(FACES):
        write_photo(folder / "WFLW" / "WFLW_images" / "0--Parade" / f"{index}.jpg")
        points = spread_points(98, 50 + index, 30, 80)
        numbers = [*(f"{v:.3f}" for v in points.ravel()), *"40 20 130 110 0 0 0 0 0 0".split()]
        lines.append(" ".join([*numbers, f"0--Parade/{index}.jpg"]))
    lists = folder / "WFLW" / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    (lists / "list_98pt_rect_attr_train.txt").write_text("\n".join(lines) + "\n")
    for name in "ab":
        write_photo(folder / "WIDER" / "WIDER_train" / "images" / "0--Parade" / f"{name}.jpg")
    (folder / "WIDER" / "wider_face_split").mkdir()
    (folder / "WIDER" / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_text(WIDER)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """`run(*options)` to (exit status, stdout, stderr) of atpn-train, with the quick recipe."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(memory, "keep_memory", lambda: True)
    monkeypatch.setitem(
        recipes.RECIPES,
        "tuned",
        lambda number, samples: Stage(number, samples, batch_size=4, settling_samples=0),
    )

    def command(*options: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atpn-train", "--threads", "1", *map(str, options)])
        with pytest.raises(SystemExit) as stop:
            train.main()
        return int(stop.value.code or 0), *capsys.readouterr()

    yield command
    torch.set_num_threads(threads)


def test_stages_1_and_2_are_trained_one_after_the_other(
    run: Command, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "run"
    where = ("--data", data, "--output", output)
    status, out, err = run(*where, "--stage", 1, "--samples", 8, "--save-every", 1)
    assert (status, err) == (0, "")
    weights = output / "atpn-lite.safetensors"
    assert out.splitlines()[-1] == str(weights)
    first = open_checkpoint(weights)
    assert first.name == "atpn-lite"
    low = next(first.load().low.parameters()).clone()

    status, _, err = run(*where, "--stage", 2, "--samples", 8)
    assert (status, err) == (0, "")
    second = open_checkpoint(weights)
    assert second.sha256 != first.sha256
    assert torch.equal(next(second.load().low.parameters()), low)
    steps = [json.loads(line) for line in (output / "train.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in steps] == [(1, 2), (2, 2)]
    assert not (output / "unreadable.json").exists()
    assert not list(output.glob("*.partial"))


def test_another_network_and_68_points_and_bfloat16(
    run: Command, data: Path, tmp_path: Path
) -> None:
    where = ("--data", data, "--output", tmp_path, "--model", "atpn", "--stage", 1)
    status, _, err = run(
        *where, "--samples", 4, "--without", "heatmap", "--precision", "bf16", "--device", "cpu"
    )
    assert (status, err) == (0, "")
    weights = open_checkpoint(tmp_path / "atpn-without-heatmap.safetensors")
    assert not weights.config.heatmap
    weights.load()  # refuses what is not finite

    status, _, err = run(*where, "--samples", 4, "--landmarks", 68)
    assert status == 2
    assert "holds nothing to train alignment68 on" in err


def wait_for(path: Path, process: subprocess.Popen[str], newer_than: int = 0) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.stat().st_mtime_ns <= newer_than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def started(*options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--threads", "1", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_an_interrupted_and_a_killed_run_resume_to_the_same_bits(
    run: Command, data: Path, tmp_path: Path
) -> None:
    options = ("--data", data, "--stage", 1, "--samples", 120, "--save-every", 2)
    output, straight = tmp_path / "ended", tmp_path / "straight"
    checkpoint = output / "stage1.safetensors"

    process = started(*options, "--output", output)
    wait_for(checkpoint, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert not list(output.glob("*.partial"))

    before = checkpoint.stat().st_mtime_ns
    process = started(*options, "--output", output)
    wait_for(checkpoint, process, before)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (output / "atpn-lite.safetensors").exists()

    assert run(*options, "--output", output)[0] == 0
    assert run(*options, "--output", straight)[0] == 0
    files = [folder / "atpn-lite.safetensors" for folder in (output, straight)]
    assert files[0].read_bytes() == files[1].read_bytes()
    logs = [(folder / "train.jsonl").read_text().splitlines() for folder in (output, straight)]
    assert [len(lines) for lines in logs] == [1, 1]


def truncate(data: Path, index: int) -> None:
    photo = data / "WFLW" / "WFLW_images" / "0--Parade" / f"{index}.jpg"
    photo.write_bytes(photo.read_bytes()[: photo.stat().st_size - 40])


def test_a_truncated_jpeg_is_skipped_and_named(run: Command, data: Path, tmp_path: Path) -> None:
    truncate(data, 3)
    output = tmp_path / "run"
    options = ("--data", data, "--output", output, "--stage", 1, "--samples", 24)
    status, out, _ = run(*options, "--dataset", "wflw", "--dataset", "wider")
    assert status == 0
    assert "1 unreadable images: " in out
    assert "train.txt:4 (3.jpg)" in out
    (name, reason), *others = json.loads((output / "unreadable.json").read_text()).items()
    assert not others
    assert name.endswith("train.txt:4 (3.jpg)")
    assert "3.jpg is a truncated JPEG; copy it again" in reason


def test_too_many_unreadable_images_stop_the_run_and_are_named(
    run: Command, data: Path, tmp_path: Path
) -> None:
    for index in range(3, FACES):
        truncate(data, index)
    output = tmp_path / "run"
    status, _, err = run("--data", data, "--output", output, "--stage", 1, "--samples", 48)
    assert status == 2
    assert "of 12 faces can't be read, 1 are let pass at most" in err
    assert err.count("\n") == 1
    assert len(json.loads((output / "unreadable.json").read_text())) >= 2
    assert not (output / "atpn-lite.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--stage", 4), "there is no stage [4]; choose 1, 2 or 3"),
        (("--stage", 2, "--stage", 1), "stages [2, 1] were asked for; give each once, in rising"),
        (("--stage", 1, "--stage", 1), "give each once"),
        (("--stage", 1, "--samples", 8, "--samples", 8), "--samples was given 2 times for 1"),
        (("--samples", 8), "--samples was given 1 times for 3 stages"),
        (("--stage", 1, "--samples", 3), "3 samples are less than one batch of 4"),
        (("--stage", 2), "goes on from a trained stage 1"),
        (("--stage", 3), "holds nothing to train pose on; such is "),
        (("--stage", 1, "--dataset", "coco"), "no data set is called 'coco'"),
        (("--stage", 1, "--dataset", "wflw-test"), "wflw-test is to be measured on"),
        (("--stage", 1, "--recipe", "best"), "no recipe is called 'best'"),
        (("--stage", 1, "--model", "heavy"), "no model is called 'heavy'"),
        (("--stage", 1, "--without", "stem"), "no module is called ['stem']"),
        (("--stage", 1, "--landmarks", 70), "landmark_count is 70"),
        (("--stage", 1, "--device", "tpu"), "no device is called 'tpu'"),
        (("--stage", 1, "--precision", "fp8"), "no precision is called 'fp8'"),
        (("--stage", 1, "--start-from", "none.safetensors"), "none.safetensors does not exist"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(
    run: Command, data: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    status, out, err = run("--data", data, "--output", tmp_path / "run", *options)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("run/*.safetensors"))


def test_missing_data_is_found_before_anything_is_made(
    run: Command, tmp_path: Path, data: Path
) -> None:
    status, _, err = run("--data", tmp_path / "nothing", "--output", tmp_path / "run")
    assert status == 2
    assert "nothing holds no data set; looked for" in err
    # Stages 1 and 2 could be trained; that 3 can not is said now, not after them.
    status, _, err = run("--data", data, "--output", tmp_path / "run")
    assert status == 2
    assert "holds nothing to train pose on" in err
    assert not (tmp_path / "run").exists()


def test_an_output_that_can_not_be_written_is_found_at_once(
    run: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    options = ("--data", data, "--stage", 1, "--samples", 4)
    status, _, err = run(*options, "--output", tmp_path / "file" / "run")
    assert status == 2
    assert "run can't be made" in err
    output, access = tmp_path / "run", os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path != output and access(path, mode))
    status, _, err = run(*options, "--output", output)
    assert status == 2
    assert "run can't be written to; give another --output" in err


def test_cuda_that_is_not_there_is_refused(
    run: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = ("--data", data, "--output", tmp_path, "--stage", 1, "--device", "cuda")
    status, _, err = run(*options)
    assert status == 2
    assert "no CUDA device; use --device cpu" in err


def test_a_run_with_other_settings_is_refused(run: Command, data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--output", tmp_path, "--stage", 1)
    assert run(*options, "--samples", 4)[0] == 0
    status, _, err = run(*options, "--samples", 8, "--seed", 2)
    assert status == 2
    assert "other settings: seed 11 there, 21 here, stage.samples 4 there, 8 here" in err


def test_a_batch_size_replaces_the_recipes(run: Command, data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--output", tmp_path, "--stage", 1, "--samples", 12)
    assert run(*options, "--batch-size", 6)[0] == 0
    assert json.loads((tmp_path / "train.jsonl").read_text())["step"] == 2


@pytest.mark.parametrize("option", ["--threads", "--save-every", "--batch-size"])
def test_counts_are_at_least_one(run: Command, data: Path, tmp_path: Path, option: str) -> None:
    status, _, err = run("--data", data, "--output", tmp_path, "--stage", 1, option, 0)
    assert status == 2
    assert option in err


def test_help_loads_no_torch() -> None:
    seen = "sorted({'torch', 'cv2', 'scipy', 'matplotlib'} & set(sys.modules))"
    code = f"""
import sys
sys.argv = ["atpn-train", "--help"]
from atpn_deploy.cli.train import main
try:
    main()
finally:
    print({seen})
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    assert ended.returncode == 0
    assert "--samples" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["ablate", "eval", "export", "parity", "track", "train"])
def test_a_module_is_its_command_too(name: str) -> None:
    """`torchrun -m atpn_deploy.cli.train`, as the documentation has it, and the others alike."""
    command = [sys.executable, "-m", f"atpn_deploy.cli.{name}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
