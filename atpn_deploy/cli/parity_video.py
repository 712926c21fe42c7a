"""The part of atpn-parity that follows a video: each file in its own closed loop."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from atpn_deploy.cli.shell import write_or_print
from atpn_deploy.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from atpn_deploy.video.source import Source
    from atpn_exporters.closed_loop.run import LoopRequest, LoopResult


@dataclass(frozen=True)
class VideoOptions:
    """What the command was told about the video and the reports."""

    video: str
    frames: int | None  # at most so many
    plot: Path | None
    json: Path | None
    junit: Path | None


def compare_on_video(
    files: list[Path], request: LoopRequest, options: VideoOptions, console: Console
) -> int:
    """Follow the video with every file, report, and return the command's exit status."""
    from atpn_deploy.video.opening import open_source
    from atpn_exporters.closed_loop.document import loop_document
    from atpn_exporters.closed_loop.tables import loop_table
    from atpn_exporters.junit import write_loop_junit

    if options.plot is not None and options.plot.suffix != ".png":
        raise ConfigError(f"--plot {options.plot} does not end in .png; an .svg is put beside it")
    with open_source(options.video) as source:
        results = _follow(source, files, request, options.frames)
        problem = source.problem
    for result in results:
        console.print(f"[bold]{result.path}[/bold]", highlight=False, soft_wrap=True)
        console.print(loop_table(result))
        if result.error:
            print(f"error: {result.path}: {result.error}", file=sys.stderr)
    if problem:
        print(problem, file=sys.stderr)
    if options.json is not None:
        document = loop_document(options.video, results)
        write_or_print(options.json, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if options.junit is not None:
        write_or_print(options.junit, write_loop_junit(results))
    if options.plot is not None and any(result.samples for result in results):
        from atpn_exporters.closed_loop.plot import draw

        draw(Path(options.video).name, results, options.plot)
    return max(result.exit_status for result in results)


def _follow(
    source: Source, files: list[Path], request: LoopRequest, limit: int | None
) -> list[LoopResult]:
    """All files through the frames, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from atpn_deploy.detectors.registry import EMBEDDED, open_detector
    from atpn_exporters.closed_loop.run import follow

    expected = source.frames_expected
    total = limit if expected is None else min(expected, limit or expected)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(f"{len(files)} closed loops", total=total)
        return follow(
            islice(source, limit),
            files,
            request,
            open_detector(EMBEDDED, video=True),
            lambda count: bar.advance(task, count),
        )
