"""atpn-track: faces found in a photograph, or followed through a video, by an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: First words that are commands of their own, and the modules that hold them.
COMMANDS = {"many": "atpn_deploy.cli.track_many"}

EPILOG = (
    "A further command, with its own --help: many FOLDER (all videos of a folder, on all cores or "
    "on a Ray cluster, each once)."
)


@app.command(epilog=EPILOG)
def track(
    input_: Annotated[
        str,
        typer.Argument(
            help="a video file, a camera (its number, device or address: 0, /dev/video0, "
            "rtsp://...), a folder of frames, or a photograph",
            metavar="INPUT",
        ),
    ],
    model: Annotated[Path, typer.Option(help="an exported file with all three tasks")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="the input with every face drawn in: a video (.mp4, .mkv, ...) or a folder for "
            "PNGs; for a photograph an image (.png, .jpg, ...)"
        ),
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option(
            help="video: what was tracked, by frame (.jsonl, .csv or .parquet; - prints JSON "
            "Lines); may be given more than once",
            metavar="FILE",
        ),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="video: counts and stage times as JSON; - prints them")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option(
            "--json", help="photograph: landmarks, pose and confidence of each face; - prints them"
        ),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="photograph: folder for each face's 112x112 crop, as calibration images",
            metavar="DIR",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            help="keep faces above this confidence; of a video's, a new one has to reach a third "
            "of the way from there to 1",
            min=0.0,
            max=1.0,
        ),
    ] = CONFIDENCE_THRESHOLD,
    max_faces: Annotated[
        int | None, typer.Option(help="keep at most so many, the largest", min=1)
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="video: look at each so many-th frame (1)", min=1)
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="video: stop after so much of the input", min=0.001)
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="folder: its frames a second (25)", min=0.001)
    ] = None,
    smoothing: Annotated[
        str | None, typer.Option(help="video: off, light or strong (light)")
    ] = None,
    rescan: Annotated[
        int | None,
        typer.Option(
            help="video: frames between two searches for new faces while none is lost (30); "
            "0 for never",
            min=0,
        ),
    ] = None,
    no_draw: Annotated[
        bool, typer.Option("--no-draw", help="video: only track; then no output is needed")
    ] = False,
    detector: Annotated[
        str,
        typer.Option(help="haar, a detector's .tflite or .onnx, or MODULE:FACTORY of your own"),
    ] = "haar",
    boxes: Annotated[
        Path | None, typer.Option(help="squares that stand in for the detector's, by frame")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of the network", min=1)] = 1,
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
) -> None:
    """Find the faces of INPUT, align them, and follow them from frame to frame.

    A photograph needs at least one of --output, --json and --crops; anything else one of
    --output, --records, --summary and --no-draw.

    Exit status: 0 one face or more; 1 the input is damaged and ended early (what came before is
    written); 3 no face found (what was asked for is still written, without faces); 130 Ctrl-C
    (what was done is written); 2 anything else.
    """
    from atpn_deploy.video.opening import is_photo

    if is_photo(input_):
        from atpn_deploy.cli.track_photo import PhotoJob, track_photo

        _refuse(
            f"{input_} is a photograph",
            {
                "--records": records,
                "--summary": summary,
                "--every": every,
                "--max-seconds": max_seconds,
                "--fps": fps,
                "--smoothing": smoothing,
                "--rescan": rescan,
                "--no-draw": no_draw or None,
            },
            "results go to --json, --output and --crops",
        )
        track_photo(
            PhotoJob(
                photo=Path(input_),
                model=model,
                output=output,
                json=json_,
                crops=crops,
                threshold=threshold,
                max_faces=max_faces,
                detector=detector,
                boxes=boxes,
                runtime=runtime,
                threads=threads,
                force=force,
            )
        )
        return

    from atpn_deploy.cli.track_video import VideoJob, track_video

    _refuse(
        f"{input_} is no photograph",
        {"--json": json_, "--crops": crops},
        "results go to --records FILE.jsonl and --output",
    )
    track_video(
        VideoJob(
            input=input_,
            model=model,
            output=output,
            records=tuple(records or ()),
            summary=summary,
            threshold=threshold,
            max_faces=max_faces,
            every=every,
            max_seconds=max_seconds,
            fps=fps,
            smoothing=smoothing,
            rescan=rescan,
            no_draw=no_draw,
            detector=detector,
            boxes=boxes,
            runtime=runtime,
            threads=threads,
            force=force,
        )
    )


def _refuse(why: str, options: dict[str, object], instead: str) -> None:
    """ConfigError for options that mean nothing for this input."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ConfigError(f"{' and '.join(given)} can't be given, for {why}; {instead}")


main = main_of(app, COMMANDS)


if __name__ == "__main__":
    main()
