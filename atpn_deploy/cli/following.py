"""`python -m atpn_deploy.cli.following`: how well a file follows the faces of a video."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print
from atpn_deploy.errors import ConfigError

if TYPE_CHECKING:
    from atpn_deploy.evaluation.following import Following

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def follow(
    video: Annotated[str, typer.Argument(help="a video or a folder of frames", metavar="VIDEO")],
    model: Annotated[Path, typer.Option(help="an exported file with all three tasks")],
    cuts: Annotated[
        str, typer.Option(help="frames that begin a new scene, with commas between: 20,82,211")
    ] = "",
    json_: Annotated[
        Path | None, typer.Option("--json", help="write the figures here, - for standard output")
    ] = None,
) -> None:
    """Faces kept without the detector, the longest track, and frames until a cut is made good."""
    from rich.console import Console

    from atpn_deploy.detectors.haar import HaarDetector
    from atpn_deploy.evaluation.following import following
    from atpn_deploy.tracking.tracker import Tracker
    from atpn_deploy.video.opening import open_source
    from atpn_exporters.opening import open_file
    from atpn_exporters.session import SessionOptions

    beginnings = _frames(cuts)
    with open_source(video) as source, open_file(model, SessionOptions()) as session:
        tracker = Tracker(session, HaarDetector())
        figures = following(
            (tracker.step(frame.image, frame.time_s) for frame in source), beginnings
        )
    console = Console(stderr=json_ == Path("-"))
    console.print(f"{video} with {model.name}", highlight=False, soft_wrap=True)
    for line in _lines(figures, beginnings):
        console.print(f"  {line}", highlight=False)
    if json_ is not None:
        facts = {"video": video, "model": model.name, **dataclasses.asdict(figures)}
        write_or_print(json_, json.dumps(facts, indent=1) + "\n")


def _frames(text: str) -> list[int]:
    numbers = [part.strip() for part in text.split(",") if part.strip()]
    if not all(number.isdigit() for number in numbers):
        raise ConfigError(f"--cuts got {text!r}; expected frames such as 20,82,211")
    return [int(number) for number in numbers]


def _lines(figures: Following, cuts: list[int]) -> list[str]:
    lines = [
        f"{figures.frames} frames, detector in {figures.detector_runs}, "
        f"{len(figures.lives)} tracks, the longest {figures.longest_life_frames} frames",
    ]
    if figures.face_frames:
        lines.append(
            f"kept without the detector: {figures.kept_percent:.2f} % "
            f"of {figures.face_frames} faces x frames"
        )
    lines += [
        f"track {life.id}: from frame {life.born}, {life.alive_frames} frames, tracked in "
        f"{life.tracked_frames}, lowest confidence {life.lowest_confidence:.2f}"
        for life in figures.lives
    ]
    for cut, later in zip(cuts, figures.recovered_frames, strict=True):
        said = "no face again" if later is None else f"a face again after {later} frames"
        lines.append(f"cut at frame {cut}: {said}")
    return lines


main = main_of(app)

if __name__ == "__main__":
    main()
