"""Which file is taken, and why, from measurements that are made up."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from atpn_deploy.parity import Row
from atpn_exporters.recipes.candidates import candidates, expected_drift, order
from atpn_exporters.recipes.pareto import Measurement, beats, choose, front
from atpn_exporters.recipes.pareto_plot import line_of, plot
from atpn_exporters.recipes.pareto_table import markdown, pareto_table
from atpn_exporters.recipes.search import SearchResult
from atpn_exporters.recipes.sensitivity import Damage


def file(
    name: str, drift: float, ratio: float, size: int = 1000, modules: tuple[str, ...] = ()
) -> Measurement:
    """A measured file whose landmarks are off by `drift` of half a pixel."""
    row = Row("landmarks", "mean", "px", "faces", drift / 2, 0.5, "", 0)
    spread = (ratio - 0.01, ratio + 0.01)
    return Measurement(name, modules, (row,), size, name, ratio, spread, 1, 3)


PLAIN = file("plain", 0.9, 1.60)
ONE = file("one", 0.8, 1.57)
EIGHT = file("eight", 0.5, 1.30)
FLOAT = replace(file("float", 0.0, 1.0, 4000), reference=True, interval=(1.0, 1.0))


def test_a_file_that_another_beats_is_not_in_the_set() -> None:
    worse = file("worse", 0.95, 1.5)
    larger = file("larger", 0.9, 1.60, size=1100)
    assert front([FLOAT, PLAIN, worse, larger, EIGHT]) == (PLAIN, EIGHT)
    assert not beats(PLAIN, PLAIN)
    assert not beats(PLAIN, file("smaller by a hair", 0.8, 1.7, size=995))


def test_the_least_drift_is_taken_among_the_nearly_fastest() -> None:
    choice = choose([FLOAT, PLAIN, ONE, EIGHT])
    assert choice.chosen is ONE
    assert "3 of these faster than the float file" in choice.sentence
    assert "80% of a limit" in choice.sentence


def test_a_fast_file_beyond_its_limits_is_never_taken() -> None:
    assert choose([FLOAT, file("off", 1.01, 3.0), EIGHT]).chosen is EIGHT
    assert choose([FLOAT, file("nan", math.nan, 3.0), EIGHT]).chosen is EIGHT


def test_nothing_is_taken_where_nothing_is_within_the_limits() -> None:
    choice = choose([FLOAT, file("off", 2.0, 1.5), file("less off", 1.2, 1.1)])
    assert choice.chosen is None
    assert "0 are within the limits" in choice.sentence
    assert "less off, landmarks off by 0.6 px (limit 0.5) at 1.10x" in choice.sentence


def test_where_none_is_faster_than_float_the_smallest_counts() -> None:
    small, better = file("small", 0.9, 0.8, size=1000), file("better", 0.6, 0.7, size=1040)
    choice = choose([FLOAT, small, better, file("large", 0.3, 0.9, size=2000)])
    assert choice.chosen is better
    assert "0 of these faster" in choice.sentence
    assert "none is faster than the float file" in choice.sentence


def test_what_could_not_be_made_is_a_row_and_never_taken() -> None:
    failed = Measurement("broken", ("a",), failed="the converter crashed")
    assert choose([failed]).chosen is None
    assert "the converter crashed" in choose([failed]).sentence
    assert choose([failed, EIGHT]).chosen is EIGHT
    assert "not made: the converter crashed" in markdown(result(failed, EIGHT))


def result(*measurements: Measurement) -> SearchResult:
    choice = choose(measurements)
    return SearchResult("atpn", "tflite-int8", "full", (), tuple(measurements), choice, None)


def test_the_table_marks_the_set_and_the_choice() -> None:
    lines = markdown(result(FLOAT, PLAIN, ONE, EIGHT, file("worse", 0.95, 1.2))).splitlines()
    marks = [line.split("|")[2].strip() for line in lines[2:7]]
    assert marks == ["", "Pareto", "taken", "Pareto", ""]
    assert "| 0.40 px |" in lines[4]


def test_modules_are_named_and_an_output_that_is_not_computed_is_a_dash() -> None:
    shown = result(FLOAT, file("two", 0.5, 1.2, modules=("low.stem", "heatmap")))
    assert "| 2 | taken | two: low.stem, heatmap | 0.25 px | - | - | 50% |" in markdown(shown)
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(pareto_table(shown))
    lines = captured.get().splitlines()
    assert any(line.split() == ["2", "low.stem,", "heatmap"] for line in lines)
    assert "two is taken" in " ".join(lines)


def test_the_line_joins_what_is_best_in_the_two_that_are_drawn() -> None:
    small = file("there for its size", 0.9, 1.2, size=500)
    assert small in front([PLAIN, EIGHT, small])
    joined = line_of([FLOAT, PLAIN, EIGHT, small])
    assert [measured.name for measured in joined] == ["plain", "eight"]


@pytest.mark.needs("matplotlib")
def test_the_plot_is_drawn(tmp_path: Path) -> None:
    plot(result(FLOAT, PLAIN, ONE, EIGHT), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    plot(result(Measurement("broken", (), failed="no")), tmp_path / "nothing.png")


def damage(module: str, landmarks: float, pose: float, cost: int = 100_000) -> Damage:
    shares = {"landmarks": landmarks, "pose": pose}
    return Damage(module, max(shares.values()), shares, shares, cost)


RANKING = [
    damage("a", 0.5, 0.0, cost=9_000_000),
    damage("b", 0.0, 0.4),
    damage("c", 0.3, 0.1),
    damage("d", 0.0, 0.0),
]


def test_errors_of_modules_add_up_as_squares() -> None:
    assert expected_drift([damage("a", 0.3, 0), damage("b", 0.4, 0)]) == pytest.approx(0.5)
    assert expected_drift([]) == 0


def test_sets_grow_by_harm_and_by_harm_for_their_time() -> None:
    assert order(RANKING, lambda d: 1.0) == ("a", "b", "c")
    assert order(RANKING, lambda d: d.multiply_adds)[-1] == "a"
    tried = candidates(RANKING, 10)
    assert tried[0].float_modules == ()
    assert [c.float_modules for c in tried[1:3]] == [("a",), ("c",)]
    assert len({frozenset(c.float_modules) for c in tried}) == len(tried)
    assert all("d" not in c.float_modules for c in tried)  # it harms nothing


def test_no_more_sets_are_tried_than_asked_for() -> None:
    assert len(candidates(RANKING, 2)) == 2
