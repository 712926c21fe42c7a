"""`python -m atpn_deploy.cli.detectors`: which faces each detector finds, and how long it takes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print
from atpn_deploy.errors import MissingToolError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def detectors(
    data: Annotated[
        Path, typer.Option(help="folder that holds detection_wider, 94 photographs of WIDER FACE")
    ],
    detector: Annotated[
        list[str], typer.Option(help="haar, an .onnx or .tflite file, or MODULE:FACTORY; repeat it")
    ],
    model: Annotated[
        Path | None, typer.Option(help="an exported file that decides on what is proposed")
    ] = None,
    video: Annotated[
        bool, typer.Option("--video", help="cascades search as they do in videos")
    ] = False,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
    json_: Annotated[
        Path | None, typer.Option("--json", help="write the tables here, - for standard output")
    ] = None,
) -> None:
    """Measure each detector on photographs with labelled faces: alone, and with --model deciding.

    Times are of one thread.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingToolError(
            "reading images needs OpenCV: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error
    from rich.console import Console
    from rich.progress import track

    from atpn_deploy.datasets.detection_wider import detection_wider_scenes
    from atpn_deploy.detectors.registry import open_detector
    from atpn_deploy.evaluation.detection import measure_detector
    from atpn_deploy.evaluation.detection_tables import detection_table, pace_table
    from atpn_deploy.evaluation.rendering import to_json, to_terminal
    from atpn_exporters.opening import open_file
    from atpn_exporters.session import SessionOptions

    cv2.setNumThreads(1)
    scenes = detection_wider_scenes(data)
    opened = [(Path(text).name, open_detector(text, video=video)) for text in detector]
    errors = Console(stderr=True)
    with (
        nullcontext() if model is None else open_file(model, SessionOptions(1, runtime)) as session
    ):
        results = [
            measure_detector(name, one, scenes, session)
            for name, one in track(opened, "detectors", console=errors)
        ]
    dataset = "detection_wider"
    tables = [
        detection_table(results, dataset, "" if model is None else model.name),
        pace_table(results, dataset),
    ]
    console = Console(stderr=json_ == Path("-"))
    for table in tables:
        console.print(to_terminal(table))
        console.print()
    if json_ is not None:
        write_or_print(json_, to_json(tables))


main = main_of(app)


if __name__ == "__main__":
    main()
