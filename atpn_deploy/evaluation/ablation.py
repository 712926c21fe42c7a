"""The paper's ablations: tables 7, 8 and 9, the variants that were trained here beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from atpn_deploy.config import ATPNConfig
from atpn_deploy.errors import ConfigError
from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.alignment import WHOLE
from atpn_deploy.evaluation.cells import PAPER, Cell, Column, Line, Row, Table, ranked, rows_of
from atpn_deploy.evaluation.results import AlignmentResult, PoseResult, TrackingResult
from atpn_deploy.evaluation.tables import (
    AVERAGE_PRECISION,
    FAILURE,
    NME,
    POSE_MEASURES,
    alignment_notes,
    pose_columns,
    pose_notes,
    pose_subsets,
    pose_values,
    printed_pose,
    subset_values,
)

Result = TypeVar("Result", AlignmentResult, PoseResult, TrackingResult)

#: The columns of the paper's modules, by their field of ATPNConfig.
HEADS = {
    "low_level_features": "low-level features",
    "multiview": "multiview block",
    "coord_conv": "CoordConv",
    "feature_sharing": "feature sharing",
    "heatmap": "heatmap",
}
ON = Cell("✓")
OFF = Cell("")


@dataclass(frozen=True)
class AblationRow(Generic[Result]):
    """One variant: what it is called, which of the paper's modules it has, what it achieved."""

    name: str
    modules: frozenset[str]  # of HEADS, those switched on
    result: Result

    def __post_init__(self) -> None:
        if unknown := sorted(self.modules - set(HEADS)):
            raise ConfigError(f"no module is called {unknown[0]!r}; choose of {', '.join(HEADS)}")


def modules_of(config: ATPNConfig) -> frozenset[str]:
    """The paper's modules that a config switches on."""
    return frozenset(name for name in HEADS if getattr(config, name))


def table_7(
    series: Mapping[str, Sequence[AblationRow[AlignmentResult]]], notes: Sequence[str] = ()
) -> Table:
    """Modules of the alignment branch; `series` is variants by what was trained, such as a budget.

    Raises ConfigError without a variant.
    """
    measures = (*[NME] * 7, FAILURE)
    rows = list(rows_of(measures, [_printed_7(row) for row in paper.TABLE_7], [], (), PAPER))
    for name, variants in series.items():
        ours = [(variant.name, _values_7(variant.result)) for variant in variants]
        rows += rows_of(measures, [], ours, (), name)
    switches = [
        *(frozenset(row.modules) for row in paper.TABLE_7),
        *(variant.modules for variants in series.values() for variant in variants),
    ]
    return Table(
        f"Table 7: modules of the alignment branch, ours on {_first(series).dataset}",
        "method",
        (
            *_module_columns(paper.ALIGNMENT_MODULES),
            *(Column(name.capitalize(), NME.heading) for name in paper.WFLW_SUBSETS),
            Column("Testset", FAILURE.heading),
        ),
        _with_modules(ranked(rows, second=False), switches, paper.ALIGNMENT_MODULES),
        (*notes, *alignment_notes(_first(series))),
    )


def _printed_7(row: paper.ModuleRow) -> Line:
    return row.method, (*row.nme_percent, row.failure_percent)


def _values_7(result: AlignmentResult) -> list[float | None]:
    nme = subset_values(result, lambda figures: figures.nme_percent)
    return [*nme, result.subsets[WHOLE].failure_percent]


def table_8(
    series: Mapping[str, Sequence[AblationRow[PoseResult]]], notes: Sequence[str] = ()
) -> Table:
    """Feature sharing and heat map in the pose branch; ConfigError without a variant."""
    subsets = pose_subsets([row.result for rows in series.values() for row in rows])
    measures = POSE_MEASURES * len(subsets)
    printed = [(row.method, printed_pose(row, subsets)) for row in paper.TABLE_8]
    rows = list(rows_of(measures, printed, [], (), PAPER))
    for name, variants in series.items():
        ours = [(variant.name, pose_values(variant.result, subsets)) for variant in variants]
        rows += rows_of(measures, [], ours, (), name)
    return Table(
        f"Table 8: modules of the pose branch (degrees), ours on {_first(series).dataset}",
        "method",
        pose_columns(subsets),
        ranked(rows, second=False),
        (*notes, *pose_notes(_first(series))),
    )


def table_9(
    series: Mapping[str, Sequence[AblationRow[TrackingResult]]], notes: Sequence[str] = ()
) -> Table:
    """Feature sharing and heat map in the tracking branch, a column a variant as in the paper.

    Variants stand in the column of their modules, those that the paper has not in further ones.
    Raises ConfigError without a variant, or where one series has two of the same modules.
    """
    names = dict(zip(_modules_of_table_9(), (name for name, _ in paper.TABLE_9), strict=True))
    for variants in series.values():
        for variant in variants:
            names.setdefault(variant.modules & _BRANCH, variant.name)
    printed = dict(zip(names, (value for _, value in paper.TABLE_9), strict=False))
    lines: list[Line] = [
        (name, _values_9(name, variants, list(names))) for name, variants in series.items()
    ]
    measures = [AVERAGE_PRECISION] * len(names)
    papers: list[Line] = [(PAPER, [printed.get(key) for key in names])]
    first = _first(series)
    return Table(
        f"Table 9: modules of the tracking branch, ours on {first.dataset}",
        AVERAGE_PRECISION.heading,
        tuple(Column(name) for name in names.values()),
        tuple(_best_of_row(row) for row in rows_of(measures, papers, lines)),
        (
            *notes,
            f"Ours: {first.faces:,} faces of {first.dataset} against {first.negatives:,} crops "
            "without one.",
        ),
    )


_BRANCH = frozenset(paper.BRANCH_MODULES)


def _modules_of_table_9() -> list[frozenset[str]]:
    """Nothing; feature sharing; both."""
    return [frozenset(paper.BRANCH_MODULES[:count]) for count in range(3)]


def _values_9(
    name: str, variants: Sequence[AblationRow[TrackingResult]], columns: Sequence[frozenset[str]]
) -> list[float | None]:
    """A series' average precision in percent, in the order of the columns."""
    found = {v.modules & _BRANCH: 100 * v.result.average_precision for v in variants}
    if len(found) != len(variants):
        raise ConfigError(f"{name} has two variants with the same modules; give one of each")
    return [found.get(column) for column in columns]


def _best_of_row(row: Row) -> Row:
    """Table 9 is ranked along its row: turned, ranked and turned back."""
    turned = [Row("", (cell,), row.kind) for cell in row.cells]
    cells = tuple(line.cells[0] for line in ranked(turned, second=False))
    return Row(row.label, cells, row.kind, row.group)


def _first(series: Mapping[str, Sequence[AblationRow[Result]]]) -> Result:
    """The first result, for what all have in common."""
    for variants in series.values():
        if variants:
            return variants[0].result
    raise ConfigError("no variant was measured; an ablation table needs one at least")


def _module_columns(modules: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(HEADS[name], "Modules") for name in modules)


def _with_modules(
    rows: Sequence[Row], switches: Sequence[frozenset[str]], modules: Sequence[str]
) -> tuple[Row, ...]:
    """Every row with a tick before its figures for each module that it has."""
    return tuple(
        Row(
            row.label,
            (*(ON if name in on else OFF for name in modules), *row.cells),
            row.kind,
            row.group,
        )
        for row, on in zip(rows, switches, strict=True)
    )
