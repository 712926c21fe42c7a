from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from atpn_benchmarks.latency import Ratio
from atpn_benchmarks.report.file_sheets import (
    delegation_sheet,
    drift_sheet,
    files_sheet,
    threads_sheet,
    unmeasured_sheet,
)
from atpn_benchmarks.report.layers import LISTED, WHOLE, layers
from atpn_benchmarks.report.markdown import markdown
from atpn_benchmarks.report.ratio_sheets import ratio_cell, ratios_sheet, times
from atpn_benchmarks.report.ratios import ratio_table
from atpn_benchmarks.report.sheet import Cell, Sheet
from atpn_benchmarks.report.standing import distinct, flaws
from atpn_benchmarks.report.terminal import terminal_tables
from atpn_benchmarks.report.terms import moment, settings_facts
from atpn_benchmarks.results import OperatorTime, Run


def cells(sheet: Sheet, file: str) -> dict[str, Cell]:
    """The row of a file, by the columns' keys."""
    keys = [head.key for head in sheet.heads]
    row = next(row for row in sheet.rows if row[0].text == file)
    return dict(zip(keys, row, strict=True))


def printed(run: Run, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(terminal_tables(run))
    return out.getvalue()


def test_a_row_has_its_figures_and_their_units(run: Run) -> None:
    sheet = files_sheet(run)
    row = cells(sheet, "atpn-lite TFLite int8")
    assert {key: cell.plain for key, cell in row.items()} == {
        "file": "atpn-lite TFLite int8",
        "state": "valid",
        "size": "1.26",
        "p50": "1.81",
        "interval": "1.80-1.82",
        "p95": "1.86",
        "drift": "0.16",
        "cpu": "1.80",
        "p99": "1.87",
        "load": "19.2",
        "first": "5.55",
        "memory": "68.2",
        "added": "16.2",
        "limit": "35 %",
        "roof": "25 %",
        "macs": "93.4",
        "parameters": "0.970",
        "preempted": row["preempted"].plain,
        "why": "",
    }
    assert row["drift"].note == "mean"
    assert {head.key: head.unit for head in sheet.heads}["p50"] == "ms"


def test_a_figure_sorts_by_its_value_and_not_by_its_text(run: Run) -> None:
    sheet = files_sheet(run)
    first = cells(sheet, "atpn-lite TFLite fp32")
    assert first["drift"].text == "<0.001"
    assert first["drift"].sort == 8.4e-5
    assert cells(sheet, "faceland98")["drift"].sort != cells(sheet, "faceland98")["drift"].sort


def test_a_figure_that_does_not_hold_is_marked_with_the_reason(run: Run) -> None:
    row = cells(files_sheet(run), "atpn-lite TFLite int16x8")
    assert (row["state"].badge, row["p50"].tone) == ("invalid", "muted")
    assert "interval of the median" in row["why"].text


def test_rows_without_figures_say_why(run: Run) -> None:
    found = {row[0].text: (row[1].text, row[2].text) for row in unmeasured_sheet(run).rows}
    assert found == {
        "mine ONNX int8": (
            "not timed",
            "landmarks is off by 7.71 px (limit 0.5, mean over faces)",
        ),
        "atpn-lite Core ML fp16": (
            "not run",
            "needs macOS: the reference evaluator says nothing of latency",
        ),
        "broken.tflite": (
            "failed",
            "LiteRT cannot open it: the file is no TFLite flatbuffer",
        ),
    }


def test_threads_are_compared_where_several_were_asked_for(run: Run) -> None:
    sheet = threads_sheet(run)
    assert sheet is not None
    row = cells(sheet, "atpn-lite TFLite int8")
    assert (row["t1"].text, row["t2"].text, row["gain2"].text) == ("1.81", "1.12", "1.62")
    assert cells(sheet, "atpn-lite TFLite int16x8")["t2"].text == "-"
    assert threads_sheet(replace(run, settings=replace(run.settings, threads=(1,)))) is None


def test_an_error_beyond_its_limit_is_marked(run: Run) -> None:
    rows = {(row[0].text, row[1].text): row for row in drift_sheet(run).rows}
    assert rows["mine ONNX int8", "landmarks"][3].tone == "bad"
    assert rows["atpn-lite TFLite int8", "pose"][3].tone == ""


def test_delegation_names_what_is_outside(run: Run) -> None:
    row = cells(delegation_sheet(run), "atpn-lite TFLite full int8")
    assert (row["partitions"].text, row["outside"].text) == ("3", "3")
    assert row["which"].text == "MAXIMUM, RSQRT, SQRT"
    assert row["partitions"].tone == "warn"
    whole = cells(delegation_sheet(run), "atpn-lite TFLite int8")
    assert whole["which"].text == "every operator inside"


def test_a_ratio_is_good_or_bad_beyond_chance_alone() -> None:
    assert ratio_cell(Ratio(0.95, 0.93, 0.97)).tone == "good"
    assert ratio_cell(Ratio(1.05, 1.02, 1.07)).tone == "bad"
    assert ratio_cell(Ratio(0.99, 0.97, 1.01)).tone == ""
    assert (times(0.95), times(0.034), times(11.02)) == ("0.95", "0.034", "11.02")


def test_the_ratio_table_has_a_column_a_peer(run: Run) -> None:
    sheet = ratios_sheet(ratio_table(run))
    assert [head.text for head in sheet.heads[2:]] == [
        *("MediaPipe face_landmark", "PFLD_GhostOne 98", "faceland98"),
        *("OpenSeeFace lm0", "3DDFA_V2 mb0.5"),
    ]
    row = cells(sheet, "atpn-lite TFLite int8")
    assert row["float"].text == "1.77"
    assert (row["peer0"].text, row["peer0"].note) == ("1.05", "1.04-1.05")


def test_operators_are_grouped_by_module_and_add_up(run: Run) -> None:
    row = run.row("atpn-lite-int8.tflite")
    assert row is not None
    found = layers(row)
    assert found is not None
    assert sum(part.seconds for part in found.modules) == pytest.approx(found.seconds)
    assert abs(sum(part.share for part in found.parts) - 1) < 1e-9
    assert [part.name for part in found.parts][-1] == WHOLE
    assert found.modules[0].seconds == max(part.seconds for part in found.modules)
    assert layers(replace(row, operators=())) is None


def test_the_slowest_operators_are_listed_and_the_rest_is_counted(run: Run) -> None:
    many = tuple(OperatorTime(f"op{n}", "Conv", f"a.b{n}", True, 1e-6 * n) for n in range(60))
    found = layers(replace(run.rows[0], operators=many))
    assert found is not None
    assert len(found.operators) == LISTED
    assert (found.rest, found.operators[0].name) == (20, "op59")
    assert abs(found.rest_s - sum(range(20)) * 1e-6) < 1e-12


def test_the_terminal_shows_everything_in_80_columns(run: Run) -> None:
    text = printed(run, 80)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    for needed in (
        "take atpn-lite-int8.tflite: 1.81 ms, 1.26 MB, 0.16 px",
        "1.80-1.82",
        "CPU p50",
        "2 threads",
        "25 %",
        "1.05 (1.04-1.05)",
        "not timed: landmarks is off by 7.71 px",
        "broken.tflite: failed:",
        "1 peer does not load",
    ):
        assert needed in text, needed
    # Cells are never cut: every median is there.
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_a_wide_terminal_gets_one_table_of_files(run: Run) -> None:
    assert printed(run, 80).count("atpn-lite TFLite fp32 ") > 1
    assert printed(run, 140).count("atpn-lite TFLite fp32 ") == 2  # and its align
    assert max(map(cell_len, printed(run, 140).splitlines())) <= 140


def test_names_are_no_markup_for_the_terminal(run: Run) -> None:
    hostile = replace(run.rows[0], title="[red]x[/red] [/]\n\x1b[31m", name="[bold]y")
    text = printed(replace(run, rows=(hostile,)), 80)
    assert "[red]x[/red] [/]" in text
    assert "[bold]y" in text


def test_a_run_without_any_figure_still_prints(run: Run) -> None:
    text = printed(replace(run, rows=run.rows[-3:]), 80)
    assert "take" not in text
    assert "not run: needs macOS" in text


def test_markdown_is_a_table_a_question(run: Run) -> None:
    text = markdown(run)
    assert text.startswith("AMD EPYC 9R45, x86\\_64, Linux 6.1.0; device local, 1 thread, ")
    assert "| atpn-lite TFLite int8 | 1.26 | 1.81 | 1.80-1.82 | 1.86 |" in text
    assert "1.05 (1.04-1.05)" in text
    assert "- atpn-lite TFLite int16x8: invalid: the interval" in text
    assert "| broken.tflite | failed |" in text
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in lines}) <= 1, block


def test_markdown_takes_no_name_for_markup(run: Run) -> None:
    hostile = replace(run.rows[0], title="a|b `c` <script>\n# d [e](f)")
    text = markdown(replace(run, rows=(hostile,)))
    assert "| a\\|b \\`c\\` \\<script\\> \\# d \\[e\\](f) |" in text


def test_what_is_not_known_is_said_so(phone: Run) -> None:
    assert dict(settings_facts(phone))["others used meanwhile"] == "not known"
    assert moment("yesterday") == "yesterday"
    assert moment("2026-11-23T07:01:02+02:00") == "2026-11-23 05:01 UTC"


def test_operators_of_a_peer_go_by_their_kind(run: Run) -> None:
    peer = replace(run.rows[-10], peer=True, operators=run.rows[0].operators)
    found = layers(peer)
    assert found is not None
    assert {part.name for part in found.parts} == {
        *("Convolution (NHWC, F32) IGEMM", "Depthwise", "RSQRT"),
    }


def test_files_of_one_reason_stand_together_and_of_one_title_apart(run: Run) -> None:
    rows = [replace(row, state="invalid", reason="too loud", title="x") for row in run.rows[:3]]
    found = distinct(replace(run, rows=(*rows, *run.rows[3:])))
    assert flaws(found)[0].told == (
        "atpn-lite-fp32.tflite, atpn-lite-fp16.tflite, atpn-lite-dynamic-int8.tflite: "
        "invalid: too loud"
    )
    assert found.rows[3].title == run.rows[3].title
