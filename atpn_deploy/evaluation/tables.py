"""The paper's tables 1, 3, 4 and 6 and its figure 6 in numbers, with our figures beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.alignment import WHOLE
from atpn_deploy.evaluation.cells import Column, Line, Measure, Pair, Row, Table, ranked, rows_of
from atpn_deploy.evaluation.naming import labels_of, pairs_by_name
from atpn_deploy.evaluation.results import (
    AlignmentFigures,
    AlignmentResult,
    Evaluation,
    PoseFigures,
    PoseResult,
    TrackingResult,
    VideoResult,
)

NME = Measure("NME", "%", 2, "lower")
NME_PUPIL = Measure("NME, inter-pupil", "%", 2, "lower")
FAILURE = Measure("FR at 0.1", "%", 2, "lower")
AUC = Measure("AUC at 0.1", "", 3, "higher")
AVERAGE_PRECISION = Measure("average precision", "%", 2, "higher")
COUNT = Measure("", "", 0, "")
POSE_MEASURES = (
    *(Measure(name, "", 2, "lower") for name in ("Yaw", "Pitch", "Roll", "MAE")),
    Measure("FR10°", "%", 2, "lower"),
)
CATEGORIES = ("A", "B", "C")
ANGLES_COUNTED = (
    "FR10°: ours is the share of faces whose mean error of the three angles is above 10°; "
    "most of the paper's rates are whole numbers of 3 x its faces, so it seems to count angles."
)

R = TypeVar("R", AlignmentResult, PoseResult, TrackingResult, VideoResult)


def tables_of(
    evaluations: Sequence[Evaluation], pairs: Sequence[Pair] | None = None
) -> list[Table]:
    """Every table for which something was measured, one a data set, in the paper's order.

    `pairs` names by `labels_of` what is subtracted from what; None takes `pairs_by_name`.
    """
    labelled = list(zip(labels_of(evaluations), evaluations, strict=True))
    if pairs is None:
        pairs = pairs_by_name([label for label, _ in labelled])
    alignment = _by_dataset((label, result) for label, e in labelled for result in e.alignment)
    video = _by_dataset((label, result) for label, e in labelled for result in e.video)
    pose = _by_dataset((label, result) for label, e in labelled for result in e.pose)
    tracking = _by_dataset((label, result) for label, e in labelled for result in e.tracking)
    return [
        *(table_1(results, pairs) for results in alignment),
        *(table_3(results, pairs) for results in video),
        *(table_4(results, pairs) for results in video),
        *(table_6(results, pairs) for results in pose),
        *(figure_6(results, pairs) for results in tracking),
    ]


#: A metric of table 1, the paper's figures (a row a method) and ours in an AlignmentFigures.
Block = tuple[Measure, Sequence[Sequence[float | None]], Callable[[AlignmentFigures], float]]


def table_1(results: Sequence[tuple[str, AlignmentResult]], pairs: Sequence[Pair] = ()) -> Table:
    """NME, failure rate and AUC on the test set and its subsets; results of one data set."""
    blocks: tuple[Block, ...] = (
        (NME, [row.nme_percent for row in paper.TABLE_1], _nme),
        (FAILURE, [row.failure_percent for row in paper.TABLE_1], _failures),
        (AUC, [row.auc for row in paper.TABLE_1], lambda figures: figures.auc),
        (NME_PUPIL, [], lambda figures: figures.nme_pupil_percent),
    )
    methods = [row.method for row in paper.TABLE_1]
    rows: list[Row] = []
    for measure, printed, figure in blocks:
        papers: list[Line] = list(zip(methods, printed, strict=False))
        ours = [(label, subset_values(result, figure)) for label, result in results]
        rows += rows_of([measure] * 7, papers, ours, pairs, measure.heading)
    return Table(
        f"Table 1: face alignment, ours on {results[0][1].dataset}",
        "method",
        tuple(Column(name.capitalize()) for name in paper.WFLW_SUBSETS),
        ranked(rows, second=True),
        (*alignment_notes(results[0][1]), *_relative_notes(dict(results), pairs)),
    )


def _nme(figures: AlignmentFigures) -> float:
    return figures.nme_percent


def _failures(figures: AlignmentFigures) -> float:
    return figures.failure_percent


def subset_values(
    result: AlignmentResult, figure: Callable[[AlignmentFigures], float]
) -> list[float | None]:
    """The figure on each of the paper's seven subsets, None where the faces are not labelled."""
    return [
        figure(result.subsets[name]) if name in result.subsets else None
        for name in paper.WFLW_SUBSETS
    ]


def alignment_notes(result: AlignmentResult) -> list[str]:
    """How many faces ours are, against the paper's, and which subsets have none."""
    counts = {name: figures.faces for name, figures in result.subsets.items()}
    ours = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    papers = dict(zip(paper.WFLW_SUBSETS, paper.WFLW_FACES, strict=True))
    notes = []
    if any(counts.get(name) != count for name, count in papers.items()):
        theirs = ", ".join(f"{name} {count:,}" for name, count in papers.items())
        notes.append(
            f"Faces of {result.dataset}: {ours}. The paper's are WFLW's test set: {theirs}; "
            "rows on other faces are not to be ranked against them."
        )
    absent = [name for name in paper.WFLW_SUBSETS if name not in counts]
    if absent:
        notes.append(f"A dash is not measured: no face is labelled {', '.join(absent)}.")
    return notes


def _relative_notes(results: dict[str, AlignmentResult], pairs: Sequence[Pair]) -> list[str]:
    """What a file costs against its reference, in percent of the reference's NME."""
    notes = []
    for one, other in pairs:
        if one in results and other in results:
            nme = results[one].subsets[WHOLE].nme_percent
            reference = results[other].subsets[WHOLE].nme_percent
            notes.append(
                f"NME of {one} is {100 * (nme / reference - 1):+.2f} % relative to {other}."
            )
    return notes


def table_3(results: Sequence[tuple[str, VideoResult]], pairs: Sequence[Pair] = ()) -> Table:
    """NME on video, every crop from the annotation (detection) or from the frame before."""
    ocular, pupil = [], []
    for label, result in results:
        for mode in ("tracking", "detection"):
            name = mode_label(label, mode)
            ocular.append((name, _categories(result, f"nme_{mode}_percent")))
            pupil.append((name, _categories(result, f"nme_pupil_{mode}_percent")))
    both = [
        (mode_label(one, mode), mode_label(other, mode))
        for one, other in pairs
        for mode in ("tracking", "detection")
    ]
    rows = (
        *_video_block("inter-ocular NME (%) ↓", paper.TABLE_3_OCULAR, ocular, both),
        *_video_block("inter-pupil NME (%) ↓", paper.TABLE_3_PUPIL, pupil, both),
    )
    return Table(
        f"Table 3: face alignment on video, ours on {results[0][1].dataset}",
        "method",
        tuple(Column(f"Cat {name}") for name in CATEGORIES),
        ranked(rows, second=True),
        _category_notes(results[0][1]),
    )


def mode_label(label: str, mode: str) -> str:
    """How a mode of a network is called in table 3."""
    return f"{label} ({mode})"


def _video_block(
    group: str, printed: Sequence[paper.VideoRow], ours: Sequence[Line], pairs: Sequence[Pair]
) -> tuple[Row, ...]:
    papers = [(row.method, row.nme_percent) for row in printed]
    return rows_of([NME] * len(CATEGORIES), papers, ours, pairs, group)


def _categories(result: VideoResult, field: str) -> list[float | None]:
    """One figure of every category, None where it was not measured."""
    return [
        float(getattr(result.categories[name], field)) if name in result.categories else None
        for name in CATEGORIES
    ]


def _category_notes(result: VideoResult) -> tuple[str, ...]:
    absent = [name for name in CATEGORIES if name not in result.categories]
    if not absent:
        return ()
    return (
        f"A dash is not measured: {result.dataset} has no video of category {', '.join(absent)}.",
    )


#: Table 4's rows: what is counted, its field in VideoFigures and how it is printed.
TRACKING_ROWS = (
    ("Sequences", "sequences", COUNT),
    ("Detection frame", "detection_frames", COUNT),
    ("Tracking frame", "tracking_frames", COUNT),
    ("Failure frame", "failure_frames", COUNT),
    ("Failure rate (%)", "failure_percent", FAILURE),
)


def table_4(results: Sequence[tuple[str, VideoResult]], pairs: Sequence[Pair] = ()) -> Table:
    """How often tracking lost the face; one block a network, the paper's first."""
    rows: list[Row] = []
    for name, field, measure in TRACKING_ROWS:
        printed = [float(getattr(category, field)) for category in paper.TABLE_4]
        ours = [(label, _categories(result, field)) for label, result in results]
        rows += rows_of([measure] * 3, [("ATPN (paper)", printed)], ours, pairs, name)
    return Table(
        f"Table 4: tracking, ours on {results[0][1].dataset}",
        "method",
        tuple(Column(f"Cat {name}") for name in CATEGORIES),
        ranked(rows, second=False),
        _category_notes(results[0][1]),
    )


def table_6(results: Sequence[tuple[str, PoseResult]], pairs: Sequence[Pair] = ()) -> Table:
    """Pose errors on the common and the challenging subset, and on all faces where measured."""
    subsets = pose_subsets([result for _, result in results])
    papers = [(row.method, printed_pose(row, subsets)) for row in paper.TABLE_6]
    ours = [(label, pose_values(result, subsets)) for label, result in results]
    rows = rows_of(POSE_MEASURES * len(subsets), papers, ours, pairs)
    return Table(
        f"Table 6: head pose (degrees), ours on {results[0][1].dataset}",
        "method",
        pose_columns(subsets),
        ranked(rows, second=False),
        tuple(pose_notes(results[0][1])),
    )


def pose_subsets(results: Sequence[PoseResult]) -> tuple[str, ...]:
    """The paper's two, and `full` if any result has it."""
    full = any("full" in result.subsets for result in results)
    return ("common", "challenging", *(("full",) if full else ()))


def pose_columns(subsets: Sequence[str]) -> tuple[Column, ...]:
    """Five columns for each subset."""
    heads = {"common": "Common subset", "challenging": "Challenging subset", "full": "Full set"}
    return tuple(
        Column(measure.heading, heads[name]) for name in subsets for measure in POSE_MEASURES
    )


def pose_values(result: PoseResult, subsets: Sequence[str]) -> list[float | None]:
    """Yaw, pitch, roll, MAE and failure rate of each subset; None where not measured."""
    values: list[float | None] = []
    for name in subsets:
        found = result.subsets.get(name)
        values += [None] * len(POSE_MEASURES) if found is None else _five(found)
    return values


def printed_pose(row: paper.PoseRow, subsets: Sequence[str]) -> list[float | None]:
    """The paper's row in the same order; its tables have no full set."""
    printed = {"common": row.common, "challenging": row.challenging}
    values: list[float | None] = []
    for name in subsets:
        values += [None] * len(POSE_MEASURES) if name == "full" else _five(printed[name])
    return values


def _five(figures: PoseFigures | paper.PoseNumbers) -> list[float | None]:
    return [
        figures.yaw_deg,
        figures.pitch_deg,
        figures.roll_deg,
        figures.mae_deg,
        figures.failure_percent,
    ]


def pose_notes(result: PoseResult) -> list[str]:
    """How many faces ours are, and what the failure rate counts."""
    ours = ", ".join(f"{name} {figures.faces:,}" for name, figures in result.subsets.items())
    theirs = ", ".join(f"{name} {count:,}" for name, count in paper.POSE_FACES.items())
    notes = [f"Faces of {result.dataset}: {ours}. The paper's are the test part of 300W: {theirs}."]
    absent = [name for name in ("common", "challenging") if name not in result.subsets]
    if absent:
        notes.append(
            f"A dash is not measured: {result.dataset} has no {' and no '.join(absent)} subset."
        )
    if "full" in result.subsets:
        notes.append("The paper gives the full set as curves only (figure 8).")
    return [*notes, ANGLES_COUNTED]


def figure_6(results: Sequence[tuple[str, TrackingResult]], pairs: Sequence[Pair] = ()) -> Table:
    """Average precision of face or no face, as figure 6 and table 9 give it for the paper."""
    measures = (AVERAGE_PRECISION, COUNT, COUNT)
    papers: list[Line] = [("ATPN (WIDER FACE)", (paper.TABLE_9[-1][1], None, None))]
    ours = [(label, tracking_values(result)) for label, result in results]
    return Table(
        f"Figure 6: face or no face, ours on {results[0][1].dataset}",
        "method",
        (Column(AVERAGE_PRECISION.heading), Column("faces"), Column("negatives")),
        ranked(rows_of(measures, papers, ours, pairs), second=False),
        ("The paper does not say on how many crops.",),
    )


def tracking_values(result: TrackingResult) -> list[float | None]:
    """Average precision in percent, faces, negatives."""
    return [100 * result.average_precision, float(result.faces), float(result.negatives)]


def _by_dataset(results: Iterable[tuple[str, R]]) -> list[list[tuple[str, R]]]:
    """Labelled results as one list a data set, in the order in which they come."""
    found: dict[str, list[tuple[str, R]]] = {}
    for label, result in results:
        found.setdefault(result.dataset, []).append((label, result))
    return list(found.values())
