"""What detectors find and what they take, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from atpn_deploy.datasets.scenes import NEGATIVE_IOU
from atpn_deploy.evaluation.cells import Column, Measure, Row, Table, rows_of
from atpn_deploy.evaluation.detection import (
    FOUND_IOU,
    SIZES_PX,
    TIMED,
    DetectionFigures,
    DetectorResult,
)

LARGEST_FIRST = tuple(sorted(SIZES_PX, reverse=True))
MEASURES = (
    *(Measure(f"{size} px", "", 0, "higher") for size in LARGEST_FIRST),
    Measure("alarms", "", 2, "lower"),
    Measure("squares", "", 2, ""),
    Measure("ms", "", 1, "lower"),
)


def detection_table(results: Sequence[DetectorResult], dataset: str, model: str) -> Table:
    """Faces found and false alarms: of each detector alone, and of `model` deciding."""
    first = results[0].alone
    alone = [(result.detector, _values(result.alone)) for result in results]
    decided = [(r.detector, _values(r.decided)) for r in results if r.decided is not None]
    rows: tuple[Row, ...] = rows_of(MEASURES, [], alone, group="alone" if decided else "")
    if decided:
        rows += rows_of(MEASURES, [], decided, group=f"{model} deciding")
    counts = " and ".join(f"{first.faces[size]} of {size} px or more" for size in LARGEST_FIRST)
    return Table(
        f"Faces found in {dataset}",
        "detector",
        tuple(Column(measure.heading) for measure in MEASURES),
        rows,
        (
            f"{first.photographs} photographs; of their faces, {counts} on the shorter side of the "
            f"box. Found: a square meets the face's own with an IoU of {FOUND_IOU} or more. False "
            "alarms, squares and ms are a photograph's; an alarm's IoU with every labelled face is "
            f"below {NEGATIVE_IOU}. Times are medians of one thread's processor time.",
        ),
    )


def _values(figures: DetectionFigures) -> list[float]:
    return [
        *(float(figures.found[size]) for size in LARGEST_FIRST),
        figures.false_alarms / figures.photographs,
        figures.squares / figures.photographs,
        figures.ms,
    ]


def pace_table(results: Sequence[DetectorResult], dataset: str) -> Table:
    """Milliseconds of `propose` by size of the frame."""
    sizes = list(results[0].frame_ms)
    measures = [Measure(f"{width} x {height}", "", 1, "lower") for width, height in sizes]
    return Table(
        "Milliseconds a frame, detector alone",
        "detector",
        tuple(Column(measure.heading) for measure in measures),
        rows_of(
            measures,
            [],
            [(result.detector, [result.frame_ms[size] for size in sizes]) for result in results],
        ),
        (f"Medians of processor time over {TIMED} photographs of {dataset} that fill the frame.",),
    )
