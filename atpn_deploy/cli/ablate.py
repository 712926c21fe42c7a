"""atpn-ablate: train the variants of one of the paper's ablation tables and lay them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.config import CONFIGS

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.training.session import Place

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ablate(
    table: Annotated[int, typer.Option(help="7 alignment, 8 pose or 9 tracking")],
    data: Annotated[Path, typer.Option(help="folder that holds the data sets")],
    output: Annotated[Path, typer.Option(help="folder for checkpoints and the table")],
    model: Annotated[str, typer.Option(help=" or ".join(CONFIGS))] = "atpn-lite",
    samples: Annotated[int, typer.Option(help="training crops of each variant")] = 40_000,
    recipe: Annotated[str, typer.Option(help="tuned, or the paper's own: paper")] = "tuned",
    start_from: Annotated[
        Path | None,
        typer.Option(help="tables 8 and 9: backbone and alignment; the shipped ones unless given"),
    ] = None,
    face_model: Annotated[
        Path | None, typer.Option(help="ICT face model (.npz): pose is fitted to the points")
    ] = None,
    seed: Annotated[int, typer.Option(help="decides the initial weights and every crop")] = 1,
    batch_size: Annotated[
        int | None, typer.Option(help="crops a step, instead of the recipe's", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads", min=1)] = 2,
    loaders: Annotated[int, typer.Option(help="processes that draw batches ahead", min=0)] = 1,
) -> None:
    """Train each variant alike, measure it, and write tableN.md and tableN.json.

    Started again after a kill, it goes on where it was.
    """
    import torch
    from rich.console import Console

    from atpn_deploy.evaluation.rendering import to_json, to_markdown, to_terminal
    from atpn_deploy.evaluation.sources import trials_in
    from atpn_deploy.training.ablation import ablation_named, measured, table_of, train_variants
    from atpn_deploy.training.memory import keep_memory
    from atpn_deploy.training.processes import Process, device_named
    from atpn_deploy.training.recipes import recipe_named
    from atpn_deploy.training.run_state import write_whole
    from atpn_deploy.training.session import Place
    from atpn_deploy.training.sources import TrainingData
    from atpn_deploy.weights import shipped

    ablation = ablation_named(table)
    stage = recipe_named(recipe)(ablation.stage, samples)
    if batch_size is not None:
        stage = replace(stage, batch_size=batch_size)
    on = device_named(device)
    trials = trials_in(data, [ablation.task])
    keep_memory()
    torch.set_num_threads(threads)
    console = Console()

    def place(config: ATPNConfig) -> Place:
        folder = output / config.name
        folder.mkdir(parents=True, exist_ok=True)
        return Place(folder, Process(), on, False, loaders, 500)

    output.mkdir(parents=True, exist_ok=True)
    sets = TrainingData(data, None, 98, face_model, 0, output)
    start = start_from or shipped(model).path
    done = []
    for name, checkpoint in train_variants(ablation, model, stage, sets, place, seed, start):
        console.print(f"{name}: {checkpoint}", soft_wrap=True, highlight=False)
        done.append((name, checkpoint))
    rows = measured(ablation, done, trials)
    notes = [f"Ours: {samples:,} training crops a variant, seed {seed}, recipe {recipe}."]
    made = table_of(ablation, model, rows, notes)
    console.print(to_terminal(made))
    write_whole(output / f"table{table}.md", lambda aside: aside.write_text(to_markdown(made)))
    write_whole(output / f"table{table}.json", lambda aside: aside.write_text(to_json([made])))


main = main_of(app)

if __name__ == "__main__":
    main()
