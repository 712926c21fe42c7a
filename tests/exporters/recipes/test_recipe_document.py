"""What docs/recipes.md shows is put between its marks and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from atpn_deploy.errors import ConfigError
from atpn_deploy.parity import Row
from atpn_exporters.recipes.document import SHOWN, section, spliced
from atpn_exporters.recipes.pareto import Measurement, choose
from atpn_exporters.recipes.search import SearchResult
from atpn_exporters.recipes.sensitivity import Damage
from atpn_exporters.registry import TARGETS

PAGE = "before\n<!-- a/b -->\nold\n<!-- end of a/b -->\nafter\n"


def test_only_what_lies_between_the_marks_is_replaced() -> None:
    page = spliced(PAGE, "a/b", r"new \1 text")
    assert page == "before\n<!-- a/b -->\nnew \\1 text\n<!-- end of a/b -->\nafter\n"
    assert spliced(page, "a/b", "old") == PAGE


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no place for c/d: put <!-- c/d --> and"):
        spliced(PAGE, "c/d", "text")


def test_the_page_has_a_place_for_everything_that_is_shown() -> None:
    page = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text()
    for model, target in SHOWN:
        assert f"<!-- {model}/{target} -->" in page
        assert TARGETS[target].plan is not None


def test_a_section_holds_table_choice_plot_and_ranking() -> None:
    row = Row("landmarks", "mean", "px", "faces", 0.25, 0.5, "", 0)
    plain = Measurement("plain", (), (row,), 2_000_000, "a", 1.5, (1.4, 1.6), 1, 3)
    damage = Damage("low.stem", 0.5, {"landmarks, mean px": 0.25}, {}, 1_350_000)
    result = SearchResult("atpn", "tflite-int8", "full", (damage,), (plain,), choose([plain]), None)
    text = section(result, "plot.png")
    assert "| 1 | taken | plain | 0.25 px |" in text
    assert "Of 1 candidates 1 are within the limits" in text
    assert "](plot.png)" in text
    assert "| low.stem | 50% | 0.25 px | 0.00° | 1.35 M |" in text
