"""Publishing: the commands and the log that go with a checkpoint, free of the machine's paths."""

from __future__ import annotations

import json
from pathlib import Path

from atpn_deploy.cli.publish import COMMANDS, LOG, _commands, _log, _model_card


def run_folder(folder: Path, command: str, entries: list[tuple[int, int]]) -> Path:
    folder.mkdir()
    (folder / COMMANDS).write_text(command + "\n")
    lines = [json.dumps({"stage": stage, "step": step, "loss": 1.0}) for stage, step in entries]
    (folder / LOG).write_text("".join(line + "\n" for line in lines))
    return folder


def test_folders_are_named_by_what_they_hold(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "a", "atpn-train --data my/data --output runs/a --dataset x", [])
    second = run_folder(
        tmp_path / "b",
        "atpn-train --start-from runs/a/x --data my/data/ --output b --face-model my/data/f.npz",
        [],
    )
    assert _commands([first, second]) == [
        "atpn-train --data DATA --output RUN1 --dataset x",
        "atpn-train --start-from RUN1/x --data DATA/ --output RUN2 --face-model DATA/f.npz",
    ]


def test_a_stage_that_a_later_run_goes_on_with_counts_on(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "a", "", [(1, 50), (1, 100)])
    second = run_folder(tmp_path / "b", "", [(1, 50), (2, 50)])
    entries = [json.loads(line) for line in _log([first, second]).splitlines()]
    assert [(e["run"], e["stage"], e["step"]) for e in entries] == [
        (1, 1, 50),
        (1, 1, 100),
        (2, 1, 150),
        (2, 2, 50),
    ]


def test_the_card_for_people_says_licence_commands_and_figures() -> None:
    metrics = dict.fromkeys(("nme_percent", "fr_percent", "auc", "mae_deg", "ap"), 0.0)
    metrics |= {"yaw_deg": 1.0, "pitch_deg": 2.0, "roll_deg": 3.0, "nme_percent": 5.4321}
    text = _model_card(
        {
            "name": "atpn-lite",
            "sha256": "abc",
            "licence": "research only: because",
            "trained_on": ["some faces"],
            "trained_by": ["atpn-train --data DATA"],
            "limits": "profiles are weak.",
            "measured_on_development_faces": metrics,
        }
    )
    assert "**Licence: research only: because.**" in text
    assert "\n    atpn-train --data DATA\n" in text
    assert "Known limits: profiles are weak.\n" in text
    assert "| 5.43 % |" in text
    assert "1.00 / 2.00 / 3.00 degrees" in text
