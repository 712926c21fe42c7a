"""atpn-bench loop: what following one face takes a frame, stage by stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def loop(
    files: Annotated[
        list[Path], typer.Argument(help="files that atpn-export wrote", metavar="FILE...")
    ],
    video: Annotated[Path, typer.Option(help="a clip that shows a face")],
    frames: Annotated[
        int, typer.Option(help="keep at most so many in memory, the first ones", min=20)
    ] = 250,
    size: Annotated[
        str | None, typer.Option(help="resize the frames first", metavar="WIDTHxHEIGHT")
    ] = None,
    passes: Annotated[
        int, typer.Option(help="over the frames, on each of the two clocks", min=1)
    ] = 5,
    smoothing: Annotated[
        str, typer.Option("--filter", help="of the landmarks: off, light or strong")
    ] = "light",
    detector: Annotated[
        str, typer.Option(help="finds the face first: haar, a network's file or MODULE:FACTORY")
    ] = "haar",
    json_: Annotated[
        Path | None, typer.Option("--json", help="every sample for machines, - prints them")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="hold the files against your own .safetensors checkpoint")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
) -> None:
    """Time the bare loop of each file on the same frames: crop, infer, track, filter.

    Frames are decoded before and nothing is drawn; the files take turns every ten frames, on one
    thread each. Frames in which the detector ran are left out. Exit status: 0 all were timed; 1 a
    file misses its parity limits; 2 one can't be opened or follows no face.
    """
    from rich.console import Console

    from atpn_benchmarks.loop.clip import parse_size
    from atpn_benchmarks.loop.command import LoopRequest, perform
    from atpn_benchmarks.loop.tables import loop_table, loop_values
    from atpn_benchmarks.loop.timing import Plan
    from atpn_deploy.tracking.smoothing import strength_named
    from atpn_exporters.parity_run import ParityRequest

    console = Console(stderr=json_ == Path("-"))
    request = LoopRequest(
        files=tuple(files),
        video=video,
        most_frames=frames,
        size=parse_size(size) if size is not None else None,
        plan=Plan(passes, strength_named(smoothing).name),
        detector=detector,
        parity=ParityRequest(weights, runtime=runtime),
    )
    outcome = perform(request, console)
    console.print(loop_table(outcome))
    for complaint in outcome.complaints:
        print(f"error: {complaint}", file=sys.stderr)
    if json_ is not None:
        write_or_print(json_, json.dumps(loop_values(outcome), indent=1) + "\n")
    if outcome.exit_status:
        raise typer.Exit(outcome.exit_status)


main = main_of(app)


if __name__ == "__main__":
    main()
