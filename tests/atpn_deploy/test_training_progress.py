"""The log of a training: what a line holds, and what a kill or a full disk leaves of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atpn_deploy.errors import TrainingError
from atpn_deploy.training.progress import LINE_EVERY, LOG_EVERY, training_progress
from atpn_deploy.training.stages import Stage

STAGE = Stage(1, 4 * 120, batch_size=4)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def report(log: Path, steps: range, stage: Stage = STAGE, loss: float = 1.0) -> None:
    with training_progress(stage, log) as progress:
        for step in steps:
            progress(step, loss, 0.25)


def entries(log: Path) -> list[tuple[int, int, float]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [(line["stage"], line["step"], line["loss"]) for line in lines]


def test_a_line_is_the_mean_since_the_line_before(log: Path) -> None:
    with training_progress(STAGE, log) as progress:
        for step in range(120):
            progress(step, 1.0 if step % 2 else 3.0, 0.25)
    assert entries(log) == [(1, LOG_EVERY, 2.0), (1, 2 * LOG_EVERY, 2.0), (1, 120, 2.0)]
    line = json.loads(log.read_text().splitlines()[0])
    assert line["lr"] == 0.25
    assert line["crops_per_s"] > 0


def test_without_a_terminal_lines_are_printed(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(log, range(500), Stage(1, 2000, batch_size=4))
    out = capsys.readouterr().out
    assert f"stage 1: {LINE_EVERY}/500, loss 1.0000," in out
    assert "min left" in out


def test_a_resumed_run_repeats_no_line(log: Path) -> None:
    report(log, range(110), loss=1.0)  # killed; its checkpoint was that of step 60
    report(log, range(60, 120), loss=2.0)
    assert entries(log) == [(1, 50, 1.0), (1, 100, 2.0), (1, 120, 2.0)]


def test_other_stages_stay_in_the_log(log: Path) -> None:
    report(log, range(120))
    report(log, range(50), Stage(2, 200, batch_size=4), loss=5.0)
    report(log, range(120), loss=7.0)  # stage 1 anew
    assert entries(log) == [(2, 50, 5.0), (1, 50, 7.0), (1, 100, 7.0), (1, 120, 7.0)]


@pytest.mark.parametrize("cut", [b'{"stage": 1, "st', b'{"stage": 1, "step": 50}', b"\n", b"[]\n"])
def test_a_line_that_was_cut_short_is_dropped(log: Path, cut: bytes) -> None:
    report(log, range(50))
    with log.open("ab") as file:
        file.write(cut)
    report(log, range(50, 100), loss=2.0)
    assert entries(log) == [(1, 50, 1.0), (1, 100, 2.0)]


def test_a_measurement_in_the_log_stays(log: Path) -> None:
    log.write_text('{"stage": 1, "nme_percent": 5.0}\n')
    report(log, range(50))
    assert log.read_text().startswith('{"stage": 1, "nme_percent": 5.0}\n')


def test_a_log_that_can_not_be_written_stops_the_run(log: Path) -> None:
    log.mkdir()
    with pytest.raises(TrainingError, match=r"train\.jsonl could not be written .*; make room"):
        report(log, range(50))
