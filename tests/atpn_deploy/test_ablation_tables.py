from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.config import ATPNConfig
from atpn_deploy.errors import ConfigError
from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.ablation import AblationRow, modules_of, table_7, table_8, table_9
from atpn_deploy.evaluation.cells import DASH, PAPER
from atpn_deploy.evaluation.results import (
    AlignmentFigures,
    AlignmentResult,
    PoseFigures,
    PoseResult,
    TrackingResult,
)

SHARING, HEATMAP = paper.BRANCH_MODULES


def aligned(nme: float) -> AlignmentResult:
    figures = {
        name: AlignmentFigures(10, nme + i, 0, 50 + nme + i, 0)
        for i, name in enumerate(paper.WFLW_SUBSETS)
    }
    return AlignmentResult("mine", figures, np.ones(1))


def turned(first: float) -> PoseResult:
    figures = {
        name: PoseFigures(9, *(first + 10 * i + k for k in range(5)))
        for i, name in enumerate(("common", "challenging"))
    }
    return PoseResult("heads", figures, np.ones((9, 3)))


def told(precision: float) -> TrackingResult:
    return TrackingResult("crops", 100, 900, precision, np.ones(1), np.ones(1))


def variant(name: str, *modules: str) -> tuple[str, frozenset[str]]:
    return name, frozenset(modules)


def test_table_7_ticks_modules_and_ends_with_the_failure_rate():
    low, views, coordinates = paper.ALIGNMENT_MODULES
    rows = [
        AblationRow(*variant("plain"), aligned(7)),
        AblationRow(*variant("without views", low, coordinates), aligned(6)),
    ]

    table = table_7({"short": rows}, ("1,000 crops each",))

    heads = [column.name for column in table.columns]
    assert heads[:3] == ["low-level features", "multiview block", "CoordConv"]
    assert heads[3:] == [*(n.capitalize() for n in paper.WFLW_SUBSETS), "Testset"]
    assert [c.span.split(" (")[0] for c in table.columns] == [
        *["Modules"] * 3,
        *["NME"] * 7,
        "FR at 0.1",
    ]
    ours = {row.label: [c.text for c in row.cells] for row in table.rows if row.group == "short"}
    assert ours["without views"][:3] == ["✓", "", "✓"]
    assert ours["without views"][3:] == [f"{6 + i}.00" for i in range(7)] + ["56.00"]
    assert ours["plain"][:3] == ["", "", ""]
    printed = {row.label: [c.text for c in row.cells] for row in table.rows if row.group == PAPER}
    assert list(printed) == ["Baseline", "Model1", "Model2", "Model3"]
    assert printed["Model2"] == [
        *("✓", "✓", ""),
        *("5.33", "9.15", "5.75", "5.16", "5.33", "6.36", "5.95"),
        "7.52",
    ]
    assert table.notes[0] == "1,000 crops each"
    assert views == "multiview"


def test_table_7_marks_the_best_variant():
    rows = [AblationRow(*variant("a"), aligned(7)), AblationRow(*variant("b"), aligned(6))]

    table = table_7({"short": rows})

    best = {row.label for row in table.rows if row.cells[3].mark == "best"}
    assert best == {"Model3", "b"}
    assert {cell.mark for row in table.rows for cell in row.cells[:3]} == {""}


def test_table_8_is_laid_out_as_table_6():
    rows = [
        AblationRow(*variant("alone"), turned(1)),
        AblationRow(*variant("b", SHARING), turned(2)),
    ]

    table = table_8({"short": rows})

    ours = [[c.text for c in row.cells] for row in table.rows if row.group == "short"]
    assert ours[0] == [f"{v}.00" for v in (1, 2, 3, 4, 5, 11, 12, 13, 14, 15)]
    printed = [row for row in table.rows if row.group == PAPER]
    assert [c.text for c in printed[1].cells] == [
        *("1.42", "2.60", "1.11", "1.71", "0.24"),
        *("2.96", "4.17", "2.38", "3.17", "3.46"),
    ]


def test_table_9_puts_a_variant_under_its_modules_whatever_their_order():
    rows = [
        AblationRow(*variant("both", HEATMAP, SHARING, "coord_conv"), told(0.99)),
        AblationRow(*variant("heat alone", HEATMAP), told(0.98)),
        AblationRow(*variant("nothing"), told(0.97)),
    ]

    table = table_9({"short": rows})

    assert [c.name for c in table.columns] == [
        *("Baseline", "Feature sharing", "Feature sharing + heatmap"),
        "heat alone",
    ]
    printed, ours = table.rows
    assert [c.text for c in printed.cells] == ["98.57", "98.72", "98.82", DASH]
    assert [c.text for c in ours.cells] == ["97.00", DASH, "99.00", "98.00"]
    assert [c.mark for c in ours.cells] == ["", "", "best", ""]
    assert [c.mark for c in printed.cells] == ["", "", "best", ""]


def test_two_variants_of_the_same_modules_are_refused():
    rows = [AblationRow(*variant("a"), told(0.9)), AblationRow(*variant("b"), told(0.8))]

    with pytest.raises(ConfigError, match="short has two variants"):
        table_9({"short": rows})


def test_an_unknown_module_is_refused():
    with pytest.raises(ConfigError, match="no module is called 'heat_map'; choose of low_level"):
        AblationRow(*variant("a", "heat_map"), told(0.9))


@pytest.mark.parametrize("table", [table_7, table_8, table_9])
def test_without_a_variant_there_is_no_table(table):
    with pytest.raises(ConfigError, match="no variant was measured"):
        table({"short": []})


def test_modules_of_a_config():
    assert modules_of(ATPNConfig()) == {*paper.ALIGNMENT_MODULES, *paper.BRANCH_MODULES}
    assert HEATMAP not in modules_of(ATPNConfig(heatmap=False))
