"""`python -m atpn_deploy.cli.publish`: make a trained network the one that the package ships."""

from __future__ import annotations

import hashlib
import json
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atpn_deploy.cli.shell import main_of

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: What atpn-train leaves in its output folder.
COMMANDS, LOG = "command.txt", "train.jsonl"

LICENCE = (
    "research only: trained on AFLW, WIDER FACE and YouTube Faces images with labels of "
    "WFLW-trained networks, all of which are for non-commercial research"
)
TRAINED_ON = (
    "AFLW crops, 13,197: 98 points fused from four networks and manual points",
    "WIDER FACE crops, 2,225, 98 points of four networks",
    "YouTube Faces frames, 1,149, 98 points fused with 68 manual ones",
    "102 studio portraits of the Face Research Lab London Set (CC BY 4.0), 40 of the points",
    "4,000 renders of the ICT face model (MIT), for the pose",
    "6,185 face-free crops of WIDER FACE, BSDS500 and permissive photographs",
)


LIMITS = (
    "the labels are those of other networks, off by 4.3 to 4.5 % themselves; profiles beyond 60 "
    "degrees and faces below 40 pixels are weak; the pose of training faces is fitted to their "
    "points, and is in AFLW2000-3D's frame to about a degree."
)


@app.command()
def publish(
    data: Annotated[Path, typer.Option(help="folder that holds the packs")],
    run: Annotated[
        list[Path], typer.Option(help="output folders of atpn-train in their order, the last one's")
    ],
    model: Annotated[str, typer.Option(help="which of the shipped models this becomes")],
) -> None:
    """Measure, then write checkpoint, model card, training log and calibration into the package.

    Golden tensors belong to a checkpoint: run golden/make_golden.py afterwards.
    """
    from safetensors.torch import load_file

    from atpn_deploy.config import config_named
    from atpn_deploy.datasets.calibration_crops import write_calibration_crops
    from atpn_deploy.model import ATPN
    from atpn_deploy.weights import open_checkpoint, save_state
    from atpn_exporters.observation import make_calibration
    from atpn_exporters.registry import TARGETS

    folder = Path(__file__).parent.parent / "checkpoints"
    path = folder / f"{model}.safetensors"
    network = ATPN(config_named(model))
    network.load_state_dict(load_file(run[-1] / f"{model}.safetensors"))
    metrics = {name: round(value, 4) for name, value in _measured(network, data).items()}
    folder.mkdir(exist_ok=True)
    save_state(network, path)
    card = {
        "name": model,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": LICENCE,
        "trained_on": TRAINED_ON,
        "trained_by": _commands(run),
        "limits": LIMITS,
        "measured_on_development_faces": metrics,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    path.with_suffix(".md").write_text(_model_card(card))
    path.with_suffix(".training.jsonl").write_text(_log(run))
    calibrated = tuple(target for target in TARGETS.values() if target.calibrated)
    with tempfile.TemporaryDirectory() as scratch:
        crops = Path(scratch) / "512 AFLW, WIDER and YouTube faces, 64 backgrounds"
        write_calibration_crops(data, crops)
        checkpoint = open_checkpoint(path)
        calibration = make_calibration(
            checkpoint, crops, calibrated, ("align", "full"), Path(scratch)
        )
    calibration.save(checkpoint.calibration_path)
    typer.echo(json.dumps({**metrics, "split_half": dict(calibration.manifest.split_half)}))


def _measured(network: ATPN, data: Path) -> dict[str, float]:
    """What atpn-eval finds on the development sets: percent, degrees and fractions."""
    from atpn_deploy.evaluation.alignment import WHOLE
    from atpn_deploy.evaluation.network import of_checkpoint
    from atpn_deploy.evaluation.sources import trials_in
    from atpn_deploy.evaluation.trials import run_trials
    from atpn_deploy.weights import open_checkpoint, save_state

    with tempfile.TemporaryDirectory() as scratch:
        aside = Path(scratch) / f"{network.config.name}.safetensors"
        save_state(network, aside)
        trials = trials_in(data, ("alignment", "pose", "tracking"))
        (found,) = run_trials([of_checkpoint(open_checkpoint(aside))], trials)
    points, pose = found.alignment[0].subsets[WHOLE], found.pose[0].subsets["full"]
    return {
        "nme_percent": points.nme_percent,
        "fr_percent": points.failure_percent,
        "auc": points.auc,
        "yaw_deg": pose.yaw_deg,
        "pitch_deg": pose.pitch_deg,
        "roll_deg": pose.roll_deg,
        "mae_deg": pose.mae_deg,
        "ap": found.tracking[0].average_precision,
    }


def _commands(runs: list[Path]) -> list[str]:
    """What was typed, with DATA and RUN1, RUN2 ... in the place of the folders that it names."""
    typed = [
        (number, shlex.split(line))
        for number, run in enumerate(runs, 1)
        for line in (run / COMMANDS).read_text().splitlines()
    ]
    called: dict[str, str] = {}
    for number, words in typed:
        for option, name in (("--data", "DATA"), ("--output", f"RUN{number}")):
            called[words[words.index(option) + 1].rstrip("/")] = name
    return [shlex.join(_renamed(word, called) for word in words) for _, words in typed]


def _renamed(word: str, called: Mapping[str, str]) -> str:
    """A path that begins with one of the folders, with that folder's name instead."""
    for folder, name in called.items():
        if word == folder or word.startswith(f"{folder}/"):
            return name + word.removeprefix(folder)
    return word


def _log(runs: list[Path]) -> str:
    """The logs of all runs as one: a stage that a later run goes on with counts its steps on."""
    lines, last = [], dict.fromkeys((1, 2, 3), 0)
    for number, run in enumerate(runs, 1):
        before = dict(last)
        for line in (run / LOG).read_text().splitlines():
            entry = json.loads(line)
            entry["step"] += before[entry["stage"]]
            last[entry["stage"]] = entry["step"]
            lines.append(json.dumps({"run": number, **entry}) + "\n")
    return "".join(lines)


def _model_card(card: Mapping[str, Any]) -> str:
    """The card for people, in Markdown."""
    metrics = card["measured_on_development_faces"]
    trained_on = "\n".join(f"- {line}" for line in card["trained_on"])
    trained_by = "\n".join(f"    {line}" for line in card["trained_by"])
    angles = " / ".join(f"{metrics[f'{axis}_deg']:.2f}" for axis in ("yaw", "pitch", "roll"))
    return f"""# {card["name"]}

98 face landmarks, head pose and face confidence from a 112x112 crop (`atpn_deploy/contract.py`).

**Licence: {card["licence"]}.** The code of the project is Apache-2.0; these weights are not.

sha256 `{card["sha256"]}`

Trained in the paper's three stages on

{trained_on}

by

{trained_by}

None of these images is in the project. The log lies beside this card. Measured in float32 by
`atpn-eval` on faces that were not trained on:

| what | on | figure |
|---|---|---|
| landmarks, NME by inter-ocular distance | 168 WFLW-test faces | {metrics["nme_percent"]:.2f} % |
| landmarks, failures above 10 % | the same | {metrics["fr_percent"]:.2f} % |
| landmarks, AUC at 10 % | the same | {metrics["auc"]:.3f} |
| pose, mean absolute error | 985 AFLW2000-3D crops | {metrics["mae_deg"]:.2f} degrees |
| pose, yaw / pitch / roll | the same | {angles} degrees |
| confidence, average precision | 97 WIDER faces against 940 backgrounds | {metrics["ap"]:.4f} |

Known limits: {card["limits"]}
"""


main = main_of(app)

if __name__ == "__main__":
    main()
