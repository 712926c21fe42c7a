"""atpn-track many: the faces of all videos of a folder, each video once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import InterruptionError, main_of
from atpn_deploy.cli.track_video import VideoJob, cores, request_of
from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.errors import ConfigError

if TYPE_CHECKING:
    from atpn_exporters.fleet.job import Crew
    from atpn_exporters.fleet.tracking import TrackingSetup

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def many(
    folder: Annotated[Path, typer.Argument(help="videos, in subfolders too", metavar="FOLDER")],
    model: Annotated[Path, typer.Option(help="an exported file with all three tasks")],
    output_dir: Annotated[
        Path, typer.Option(help="the results, laid out as the videos are", metavar="DIR")
    ],
    workers: Annotated[
        int | None, typer.Option(help="videos at a time; as many as there are cores", min=1)
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="work on a Ray cluster: local (this machine), auto (a running one) or HOST:PORT",
            metavar="ADDRESS",
        ),
    ] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="jsonl, csv or parquet; may be repeated")
    ] = None,
    draw: Annotated[
        bool, typer.Option("--draw", help="also write each video with its faces drawn in")
    ] = False,
    threshold: Annotated[
        float, typer.Option(help="keep faces above this confidence", min=0.0, max=1.0)
    ] = CONFIDENCE_THRESHOLD,
    max_faces: Annotated[
        int | None, typer.Option(help="follow at most so many, the largest", min=1)
    ] = None,
    every: Annotated[int, typer.Option(help="look at each so many-th frame", min=1)] = 1,
    max_seconds: Annotated[
        float | None, typer.Option(help="stop each video after so much of it", min=0.0)
    ] = None,
    smoothing: Annotated[str, typer.Option(help="off, light or strong")] = "light",
    rescan: Annotated[
        int | None,
        typer.Option(help="frames between two searches for new faces (30); 0 for never", min=0),
    ] = None,
    detector: Annotated[
        str,
        typer.Option(help="haar, a detector's .tflite or .onnx, or MODULE:FACTORY of your own"),
    ] = "haar",
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
) -> None:
    """Track the faces of every video below FOLDER; type the same again to go on after a stop.

    A video is done when its records and its summary are there; it is done again when the video,
    the model or an option has changed. DIR/summary.json tells of the whole, DIR/failures.json
    lists the videos without a whole result.

    Exit status: 0 every video has a whole result; 1 some have not; 2 the run could not begin;
    130 interrupted.
    """
    from rich.console import Console

    from atpn_exporters.artifact_files import sha256_of
    from atpn_exporters.fleet.bar import FleetBar
    from atpn_exporters.fleet.coordinator import Coordinator, FleetRequest
    from atpn_exporters.fleet.listing import list_videos
    from atpn_exporters.fleet.tables import report_table
    from atpn_exporters.fleet.tracking import TrackingSetup
    from atpn_exporters.opening import by_suffix

    listing = list_videos(folder, output_dir)
    by_suffix(model)
    job = VideoJob(
        input="",
        model=model.absolute(),
        output=None,
        records=(),
        summary=None,
        threshold=threshold,
        max_faces=max_faces,
        every=every,
        max_seconds=max_seconds,
        fps=None,
        smoothing=smoothing,
        rescan=rescan,
        no_draw=not draw,
        # Workers on other machines begin in another folder.
        detector=str(Path(detector).absolute()) if Path(detector).is_file() else detector,
        boxes=None,
        runtime=runtime,
        threads=1,
        force=False,
    )
    setup = TrackingSetup(
        request=request_of(job),
        folder=folder.absolute(),
        output_dir=output_dir.absolute(),
        formats=_suffixes(format_ or ["jsonl"]),
        draw=draw,
        model_sha256=sha256_of(model),
    )
    console = Console()
    with FleetBar(console) as bar:
        coordinator = Coordinator(FleetRequest(folder, output_dir, listing, setup.recipe()), bar)
        report = coordinator.run(lambda videos: _crew(ray, workers, videos, setup))
    console.print(report_table(report))
    if report.interrupted:
        raise InterruptionError("type the same again to go on")
    if not report.ok:
        raise typer.Exit(1)


def _suffixes(formats: list[str]) -> tuple[str, ...]:
    from atpn_deploy.track_records.formats import FORMATS

    suffixes = tuple(dict.fromkeys(f".{name.lower().lstrip('.')}" for name in formats))
    if unknown := [suffix for suffix in suffixes if suffix not in FORMATS]:
        known = ", ".join(suffix[1:] for suffix in FORMATS)
        raise ConfigError(f"--format {unknown[0][1:]} is unknown; choose {known}")
    return suffixes


def _crew(ray: str | None, workers: int | None, videos: int, setup: TrackingSetup) -> Crew:
    from atpn_exporters.fleet.processes import ProcessCrew
    from atpn_exporters.fleet.ray_crew import RayCrew

    if ray is not None:
        return RayCrew(ray, workers, videos, setup)
    return ProcessCrew(min(videos, workers or cores()), setup)


main = main_of(app)


if __name__ == "__main__":
    main()
