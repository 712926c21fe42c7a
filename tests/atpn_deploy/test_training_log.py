from __future__ import annotations

import pytest

from atpn_deploy.errors import TrainingError
from atpn_deploy.evaluation.training_log import read_training_log

LINES = (
    '{"stage": 1, "step": 50, "loss": 2.0, "lr": 0.002, "crops_per_s": 160}',
    '{"stage": 1, "step": 100, "loss": 1.0, "lr": 0.001}',
    '{"stage": 1, "nme_percent": 5.0}',
    '{"stage": 2, "step": 50, "loss": 0.5, "lr": 0.003}',
)


def log(tmp_path, *lines: str, end: str = "\n"):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines) + end)
    return path


def test_stages_hold_steps_losses_and_rates(tmp_path):
    first, second = read_training_log(log(tmp_path, *LINES))

    assert (first.number, second.number) == (1, 2)
    assert first.steps.tolist() == [50, 100]
    assert first.losses.tolist() == [2.0, 1.0]
    assert first.rates.tolist() == [0.002, 0.001]
    assert second.losses.tolist() == [0.5]


def test_a_step_that_was_repeated_counts_as_logged_last(tmp_path):
    again = '{"stage": 1, "step": 50, "loss": 9.0, "lr": 0.002}'

    first, _ = read_training_log(log(tmp_path, *LINES, again))

    assert first.steps.tolist() == [50, 100]
    assert first.losses.tolist() == [9.0, 1.0]


def test_a_last_line_that_was_cut_short_is_dropped(tmp_path):
    stages = read_training_log(log(tmp_path, *LINES, '{"stage": 2, "st', end=""))

    assert stages[1].steps.tolist() == [50]


@pytest.mark.parametrize(
    "bad", ["{", '{"loss": 1.0}', '{"loss": "x", "lr": 1, "stage": 1}', "[1]2"]
)
def test_a_bad_line_is_named(bad, tmp_path):
    with pytest.raises(TrainingError, match=r"log\.jsonl, line 2: expected"):
        read_training_log(log(tmp_path, LINES[0], bad, LINES[1]))


def test_a_log_without_a_step_or_without_a_file_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no step with a loss"):
        read_training_log(log(tmp_path, LINES[2]))
    with pytest.raises(TrainingError, match="cannot be read as a training log"):
        read_training_log(tmp_path / "nothing.jsonl")
