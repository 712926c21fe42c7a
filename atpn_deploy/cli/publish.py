"""`python -m atpn_deploy.cli.publish`: make a trained network the one that the package ships."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from atpn_deploy.cli.shell import main_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)

LICENCE = (
    "research only: trained on AFLW, WIDER FACE and YouTube Faces images with labels of "
    "WFLW-trained networks, all of which are for non-commercial research"
)
TRAINED_ON = (
    "AFLW crops, 13,244 less the pack's own filter, 98 points fused from four networks and "
    "manual points, AFLW pose",
    "WIDER FACE crops, 2,225, 98 points of four networks",
    "YouTube Faces frames, 1,149, 98 points fused with 68 manual ones",
    "6,488 face-free crops of WIDER FACE, BSDS500 and permissive photographs",
)


@app.command()
def publish(
    data: Annotated[Path, typer.Option(help="folder that holds the packs")],
    run: Annotated[Path, typer.Option(help="output folder of atpn-train")],
    model: Annotated[str, typer.Option(help="which of the shipped models this becomes")],
) -> None:
    """Measure, then write checkpoint, model card and calibration cache into the package.

    Golden tensors belong to a checkpoint: run golden/make_golden.py afterwards.
    """
    from safetensors.torch import load_file

    from atpn_deploy.config import config_named
    from atpn_deploy.datasets.calibration_crops import write_calibration_crops
    from atpn_deploy.model import ATPN
    from atpn_deploy.training.evaluation import evaluate
    from atpn_deploy.weights import open_checkpoint, predictor, save_state
    from atpn_exporters.observation import make_calibration
    from atpn_exporters.registry import TARGETS

    folder = Path(__file__).parent.parent / "checkpoints"
    path = folder / f"{model}.safetensors"
    network = ATPN(config_named(model))
    network.load_state_dict(load_file(run / f"{model}.safetensors"))
    metrics = {k: round(v, 4) for k, v in evaluate(predictor(network), data).items()}
    folder.mkdir(exist_ok=True)
    save_state(network, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {
        "name": model,
        "sha256": sha256,
        "licence": LICENCE,
        "trained_on": TRAINED_ON,
        "measured_on_development_faces": metrics,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    path.with_suffix(".md").write_text(_model_card(card))
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


def _model_card(card: Mapping[str, Any]) -> str:
    """The card for people, in Markdown."""
    metrics = card["measured_on_development_faces"]
    trained_on = "\n".join(f"- {line}" for line in card["trained_on"])
    angles = " / ".join(f"{metrics[f'{axis}_deg']:.2f}" for axis in ("yaw", "pitch", "roll"))
    return f"""# {card["name"]}

98 face landmarks, head pose and face confidence from a 112x112 crop (`atpn_deploy/contract.py`).

**Licence: {card["licence"]}.** The code of the project is Apache-2.0; these weights are not.

sha256 `{card["sha256"]}`

Trained by `atpn-train` in the paper's three stages on

{trained_on}

None of these images is in the project. Measured in float32 on faces that were not trained on:

| what | on | figure |
|---|---|---|
| landmarks, NME by inter-ocular distance | 168 WFLW-test faces | {metrics["nme_percent"]:.2f} % |
| landmarks, failures above 10 % | the same | {metrics["fr_percent"]:.2f} % |
| landmarks, AUC at 10 % | the same | {metrics["auc"]:.3f} |
| pose, mean absolute error | AFLW2000-3D crops | {metrics["mae_deg"]:.2f} degrees |
| pose, yaw / pitch / roll | the same | {angles} degrees |
| confidence, average precision | those faces against 1,000 backgrounds | {metrics["ap"]:.4f} |

Known limits: trained for a short time (256,000 crops of alignment in two cosine cycles, 32,000
each of tracking and pose) on pseudo-labels; profiles beyond 60 degrees and faces below 40 pixels
are weak; concentric rings are taken for a face with 99 %. The backgrounds of the average precision
were among the training negatives: that figure says that the branch has learnt, not how it
generalises.
"""


main = main_of(app)

if __name__ == "__main__":
    main()
