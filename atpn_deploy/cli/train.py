"""atpn-train: the paper's three stages on the research packs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.config import CONFIGS, config_named
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="folder that holds the packs (train98, ...)")],
    output: Annotated[Path, typer.Option(help="folder for checkpoints and the result")],
    model: Annotated[str, typer.Option(help=" or ".join(CONFIGS))] = "atpn-lite",
    samples: Annotated[
        tuple[int, int, int], typer.Option(help="training crops of stages 1, 2 and 3")
    ] = (240_000, 60_000, 60_000),
    start_from: Annotated[
        Path | None, typer.Option(help="checkpoint to go on from, instead of random weights")
    ] = None,
    seed: Annotated[int, typer.Option(help="decides the initial weights and every crop")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
) -> None:
    """Train all three stages; a killed run goes on where it was when started again."""
    import torch

    from atpn_deploy.datasets import packs
    from atpn_deploy.datasets.augment import Augmentation, Sampler
    from atpn_deploy.model import ATPN
    from atpn_deploy.training.evaluation import evaluate
    from atpn_deploy.training.progress import training_progress
    from atpn_deploy.training.stages import Stage, train_stage
    from atpn_deploy.weights import open_checkpoint, predictor, save_state

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    output.mkdir(parents=True, exist_ok=True)
    network = ATPN(config_named(model))
    if start_from is not None:
        earlier = open_checkpoint(start_from)
        if earlier.config != network.config:
            raise ConfigError(f"{start_from} holds {earlier.name}, not {model}; give --model")
        network = earlier.load()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stages = (
        Stage(1, samples[0]),
        Stage(2, samples[1], learning_rate=1e-3, negative_share=0.6),
        Stage(3, samples[2], learning_rate=1e-3),
    )
    faces, negatives = packs.train98_faces(data), packs.train98_negatives(data)
    for stage in stages:
        sampler = Sampler(faces, negatives, Augmentation(), seed=seed * 10 + stage.number)
        checkpoint = output / f"stage{stage.number}.safetensors"
        with training_progress(stage) as progress:
            train_stage(network, stage, sampler, checkpoint, progress=progress)
        figures = evaluate(predictor(network), data)
        typer.echo(json.dumps({"stage": stage.number, **figures}))
    save_state(network, output / f"{model}.safetensors")
    (output / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n")


main = main_of(app)
