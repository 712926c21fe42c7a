"""atpn-train: the paper's three stages, on the research packs or on the official data sets."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.config import CONFIGS, variant_named
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Training crops of the stages, where --samples does not say.
SAMPLES = {1: 600_000, 2: 60_000, 3: 90_000}


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="folder that holds the data sets")],
    output: Annotated[Path, typer.Option(help="folder for checkpoints, log and result")],
    model: Annotated[str, typer.Option(help=" or ".join(CONFIGS))] = "atpn-lite",
    stage: Annotated[
        list[int] | None, typer.Option(help="1 alignment, 2 tracking, 3 pose; repeat for several")
    ] = None,
    samples: Annotated[
        list[int] | None, typer.Option(help="training crops, one number for each stage given")
    ] = None,
    recipe: Annotated[str, typer.Option(help="tuned, or the paper's own: paper")] = "tuned",
    learning_rate: Annotated[
        float | None, typer.Option(help="peak rate, instead of the recipe's")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="crops a step, instead of the recipe's", min=1)
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="only these of the data sets in the folder")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="leave a module out, such as heatmap (ablations)")
    ] = None,
    face_model: Annotated[
        Path | None, typer.Option(help="ICT face model (.npz): pose is fitted to the points")
    ] = None,
    renders: Annotated[int, typer.Option(help="rendered faces to add, with --face-model")] = 0,
    landmarks: Annotated[int, typer.Option(help="98 (WFLW) or 68 (300W, 300VW)")] = 98,
    start_from: Annotated[
        Path | None, typer.Option(help="checkpoint to go on from, instead of random weights")
    ] = None,
    seed: Annotated[int, typer.Option(help="decides the initial weights and every crop")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (bf16 on a GPU), fp32 or bf16")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of each process", min=1)] = 2,
    loaders: Annotated[int, typer.Option(help="processes that draw batches ahead", min=0)] = 1,
    save_every: Annotated[int, typer.Option(help="steps between checkpoints", min=1)] = 500,
) -> None:
    """Train one stage or all; a killed run goes on where it was when started again.

    Under torchrun, processes share each batch.
    """
    import torch

    from atpn_deploy.training.memory import keep_memory
    from atpn_deploy.training.processes import device_named, training_process
    from atpn_deploy.training.recipes import recipe_named
    from atpn_deploy.training.session import Place, initial_network
    from atpn_deploy.training.session import train as train_stages
    from atpn_deploy.training.sources import TrainingData

    numbers = stage or [1, 2, 3]
    plan = [recipe_named(recipe)(n, count) for n, count in _samples(numbers, samples)]
    if learning_rate is not None:
        plan = [replace(one, learning_rate=learning_rate) for one in plan]
    if batch_size is not None:
        plan = [replace(one, batch_size=batch_size) for one in plan]
    if precision not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"no precision is called {precision!r}; choose auto, fp32 or bf16")
    if renders and face_model is None:
        raise ConfigError("--renders needs the model that is rendered: give --face-model FILE.npz")
    config = variant_named(model, without or (), landmarks)
    names = None if dataset is None else tuple(dataset)
    sets = TrainingData(data, names, landmarks, face_model, renders, output)
    sets.require(numbers)  # now, and not when earlier stages have trained for hours
    keep_memory()
    torch.set_num_threads(threads)
    on = device_named(device)
    _create(output)
    network = initial_network(config, _start(start_from, output, config.name, numbers), seed)
    bfloat16 = precision == "bf16" or (precision == "auto" and on.type == "cuda")
    with training_process(on) as process:
        place = Place(output, process, on, bfloat16, loaders, save_every)
        if process.rank == 0:
            _note_command(output)
        unreadable = train_stages(network, plan, sets, place, seed)
    if process.rank == 0:
        if unreadable:
            few = ", ".join(sorted(unreadable)[:3]) + (", ..." if len(unreadable) > 3 else "")
            typer.echo(f"{len(unreadable)} unreadable images: {few}: {output / 'unreadable.json'}")
        typer.echo(f"{output / config.name}.safetensors")


def _samples(numbers: list[int], samples: list[int] | None) -> list[tuple[int, int]]:
    """Stage numbers with their training crops."""
    if unknown := sorted(set(numbers) - set(SAMPLES)):
        raise ConfigError(f"there is no stage {unknown}; choose 1, 2 or 3")
    if numbers != sorted(set(numbers)):
        raise ConfigError(f"stages {numbers} were asked for; give each once, in rising order")
    if samples is not None and len(samples) != len(numbers):
        raise ConfigError(
            f"--samples was given {len(samples)} times for {len(numbers)} stages; give it once for "
            "each --stage, in their order"
        )
    counts = samples or [SAMPLES[number] for number in numbers]
    return list(zip(numbers, counts, strict=True))


def _start(start_from: Path | None, output: Path, name: str, numbers: list[int]) -> Path | None:
    """What to go on from: what was named, else for stages 2 and 3 what stage 1 left there."""
    if start_from is not None or numbers[0] == 1:
        return start_from
    earlier = output / f"{name}.safetensors"
    if not earlier.is_file():
        raise ConfigError(
            f"stage {numbers[0]} goes on from a trained stage 1, and {earlier} does not exist; "
            "train --stage 1 into this folder first, or give --start-from CHECKPOINT"
        )
    return earlier


def _note_command(output: Path) -> None:
    """Keep what was typed with what it made; the same line of a resumed run once."""
    from atpn_deploy.training.run_state import write_whole

    path = output / "command.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    line = shlex.join(["atpn-train", *sys.argv[1:]])
    if line not in lines:
        text = "".join(f"{entry}\n" for entry in [*lines, line])
        write_whole(path, lambda aside: aside.write_text(text))


def _create(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output} can't be made: {error}; give another --output") from error
    if not os.access(output, os.W_OK | os.X_OK):
        raise ConfigError(f"{output} can't be written to; give another --output")


main = main_of(app)

if __name__ == "__main__":
    main()
