from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.cells import Cell, Column, Measure, Row, Table, ranked, rows_of
from atpn_deploy.evaluation.rendering import from_json, to_json, to_markdown, to_terminal

NME = Measure("NME", "%", 2, "lower")
AUC = Measure("AUC", "", 3, "higher")
TABLE = Table(
    "Table 0: two | three",
    "method",
    (Column("one", "left"), Column("two", "left"), Column("three", "right")),
    ranked(
        rows_of(
            [NME, NME, AUC],
            [("LAB", (5.27, None, 0.5)), ("SAN", (5.22, 10.39, 0.6))],
            [("a|b.onnx", (4.5, 1234.5, 0.7)), ("c.onnx", (4.75, 9.0, float("nan")))],
            [("c.onnx", "a|b.onnx")],
            "NME (%) ↓",
        ),
        second=True,
    ),
    ("A note.",),
)


def shown(table: Table, width: int, *, colour: bool = False) -> str:
    console = Console(
        width=width,
        file=io.StringIO(),
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    with console.capture() as captured:
        console.print(to_terminal(table))
    return captured.get()


def read_markdown(text: str) -> list[list[str]]:
    """The cells of every line of the table, escapes and emphasis taken off."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[c.strip().strip("*`").replace(r"\|", "|") for c in line] for line in cells]


def test_markdown_holds_every_cell_once_in_its_place():
    head, *lines = read_markdown(to_markdown(TABLE))

    assert head == ["", "method", "left: one", "left: two", "right: three"]
    assert [line[1:] for line in lines] == [
        [row.label, *(cell.text for cell in row.cells)] for row in TABLE.rows
    ]
    assert [line[0] for line in lines] == ["NME (%) ↓", "", "", "", ""]


def test_markdown_marks_best_and_second_and_names_of_files():
    text = to_markdown(TABLE)

    assert "| SAN | **5.22** | 10.39 | **0.600** |" in text
    assert r"| `a\|b.onnx` | **4.50** | *1,234.50* | 0.700 |" in text
    assert text.startswith("### Table 0: two | three\n\n|")
    assert text.endswith("\n\nA note.\n")


def test_json_gives_the_same_tables_back():
    other = replace(TABLE, title="other", notes=())

    assert from_json(to_json([TABLE, other])) == [TABLE, other]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"tables_version": 0, "tables": []}',
        '{"tables_version": 1, "tables": [{"title": "x"}]}',
        '{"tables_version": 1, "tables": [{"title": "x", "label": "", "columns": [{"a": 1}]}]}',
    ],
)
def test_other_json_is_refused(text):
    with pytest.raises(DatasetError):
        from_json(text)


def test_the_terminal_shows_every_cell_and_the_spans():
    text = shown(TABLE, 100)

    for row in TABLE.rows:
        (line,) = [line for line in text.splitlines() if line.strip().startswith(row.label + "  ")]
        assert line.split()[-3:] == [cell.text for cell in row.cells]
    assert "left" in text
    assert text.count("method") == 1


@pytest.mark.parametrize(("width", "parts"), [(50, 2), (40, 3)])
def test_a_narrow_terminal_gets_a_part_a_span_or_a_column_and_loses_no_number(width, parts):
    text = shown(TABLE, width)

    assert text.count("method") == parts
    for row in TABLE.rows:
        for cell in row.cells:
            assert cell.text in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_a_part_leaves_out_the_rows_that_have_nothing_in_it():
    right = shown(TABLE, 50).split("right")[1]

    assert "a|b.onnx" in right
    assert not any(line.strip().startswith("c.onnx") for line in right.splitlines())


def test_best_is_bold_and_second_underlined_in_the_terminal():
    text = shown(TABLE, 100, colour=True)

    (line,) = [line for line in text.splitlines() if "LAB" in line]
    assert re.search(r"\x1b\[2;4m *5\.27", line)  # dim, for it is the paper's, and underlined
    (line,) = [line for line in text.splitlines() if "SAN" in line]
    assert re.search(r"\x1b\[1;2m *5\.22", line)


@pytest.mark.parametrize(
    ("value", "reference", "text"),
    [(5.0, 4.9, "+0.10"), (4.9, 5.0, "-0.10"), (5.001, 5.0, "0.00"), (None, 5.0, "-")],
)
def test_differences_have_signs(value, reference, text):
    assert NME.difference(value, reference).text == text


def test_ranks_follow_the_printed_text_and_the_direction():
    rows = rows_of([NME, AUC], [], [("a", (1.001, 0.1)), ("b", (0.999, 0.2)), ("c", (2, 0.3))])

    marks = [[cell.mark for cell in row.cells] for row in ranked(rows, second=True)]
    assert marks == [["best", ""], ["best", "second"], ["", "best"]]
    marks = [[cell.mark for cell in row.cells] for row in ranked(rows, second=False)]
    assert marks == [["best", ""], ["best", ""], ["", "best"]]


def test_equal_values_share_a_mark_and_are_best_only_of_others():
    rows = rows_of([NME], [], [("a", (1.0,)), ("b", (1.0,)), ("c", (2.0,))])

    assert [row.cells[0].mark for row in ranked(rows, second=True)] == ["best", "best", ""]
    assert [row.cells[0].mark for row in ranked(rows[:2], second=True)] == ["", ""]


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="row 'x' has 1 cells; expected 3"):
        replace(TABLE, rows=(Row("x", (Cell("1"),), "ours"),))


def test_unmeasured_values_are_dashes_and_unranked():
    assert NME.cell(None) == NME.cell(float("nan")) == Cell("-")


def test_a_table_without_spans_is_cut_into_equal_parts():
    columns = tuple(Column(f"column {k}") for k in range(4))
    rows = rows_of([NME] * 4, [("a method of twenty-five", (1.0, 2.0, 3.0, 4.0))], [])
    text = shown(Table("Wide", "method", columns, rows), 56)

    heads = [line.split() for line in text.splitlines() if "column" in line]
    assert [len(head) for head in heads] == [1 + 2 * 2, 1 + 2 * 2]
    assert [value in text for value in ("1.00", "2.00", "3.00", "4.00")] == [True] * 4
    assert "a method of" in text  # the label is folded, not squeezed to a letter a line
