from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.cells import DASH, Table
from atpn_deploy.evaluation.naming import (
    labels_of,
    network_of,
    pairs_by_name,
    pairs_by_origin,
)
from atpn_deploy.evaluation.results import (
    AlignmentFigures,
    AlignmentResult,
    Evaluation,
    PoseFigures,
    PoseResult,
    TrackingResult,
    VideoFigures,
    VideoResult,
)
from atpn_deploy.evaluation.tables import figure_6, table_1, table_3, table_4, table_6, tables_of

FLOAT, INT8 = "atpn.safetensors", "atpn-int8.tflite"


def alignment(first: float, subsets: tuple[str, ...] = paper.WFLW_SUBSETS) -> AlignmentResult:
    """Every figure of every subset is another number: 1 more a subset, another range a metric."""
    figures = {
        name: AlignmentFigures(10 * (i + 1), first + i, first + 20 + i, first + 40 + i, 0.1 * i)
        for i, name in enumerate(subsets)
    }
    return AlignmentResult("mine", figures, np.array([0.01, 0.2]))


def pose(first: float, subsets: tuple[str, ...] = ("common", "challenging")) -> PoseResult:
    figures = {
        name: PoseFigures(9, *(first + 10 * i + k for k in range(5)))
        for i, name in enumerate(subsets)
    }
    return PoseResult("heads", figures, np.ones((9, 3)))


def video(first: float, categories: str = "ABC") -> VideoResult:
    figures = {
        name: VideoFigures(
            1 + i, 2 + i, 98 - i, 4 + i, first + i, first + 10 + i, first + 20 + i, first + 30 + i
        )
        for i, name in enumerate(categories)
    }
    return VideoResult("film", figures)


def tracking(precision: float) -> TrackingResult:
    return TrackingResult("crops", 100, 900, precision, np.ones(2), np.array([0.5, 1.0]))


def texts(table: Table, label: str, group: str = "") -> list[str]:
    """The cells of the one row of that label whose group starts so."""
    (row,) = [r for r in table.rows if r.label == label and r.group.startswith(group)]
    return [cell.text for cell in row.cells]


def labels(table: Table, group: str) -> list[str]:
    return [row.label for row in table.rows if row.group.startswith(group)]


def test_table_1_has_a_column_a_subset_in_the_papers_order():
    table = table_1([(FLOAT, alignment(1))])

    names = [column.name for column in table.columns]
    assert names[:3] == ["Testset", "Pose", "Expression"]
    assert names[3:] == ["Illumination", "Make-up", "Occlusion", "Blur"]
    assert texts(table, FLOAT, "NME (") == [f"{1 + i}.00" for i in range(7)]
    assert texts(table, FLOAT, "NME, inter-pupil") == [f"{21 + i}.00" for i in range(7)]
    assert texts(table, FLOAT, "FR") == [f"{41 + i}.00" for i in range(7)]
    assert texts(table, FLOAT, "AUC") == [f"{0.1 * i:.3f}" for i in range(7)]


def test_table_1_lists_the_paper_in_its_order_and_then_ours():
    table = table_1([(FLOAT, alignment(1))])

    expected = [row.method for row in paper.TABLE_1] + [FLOAT]
    for metric in ("NME (", "FR", "AUC"):
        assert labels(table, metric) == expected
    assert texts(table, "ATPN", "NME (") == ["5.13", "8.97", "5.49", "4.95", "4.94", "6.30", "5.78"]
    assert texts(table, "LAB", "FR")[1] == "28.83"
    assert texts(table, "PropNet", "AUC")[6] == "0.583"
    assert texts(table, "G&LSR-w", "AUC") == ["0.493", *[DASH] * 6]


def test_a_subset_that_was_not_measured_is_a_dash_and_a_note_says_so():
    table = table_1([(FLOAT, alignment(1, ("testset", "blur")))])

    assert texts(table, FLOAT, "NME (") == ["1.00", *[DASH] * 5, "2.00"]
    assert any(
        "no face is labelled pose, expression, illumination, make-up, occlusion" in note
        for note in table.notes
    )
    assert any("testset 10, blur 20" in note and "2,500" in note for note in table.notes)


def test_on_the_papers_own_faces_there_is_nothing_to_note():
    figures = {
        name: replace(alignment(1).subsets[name], faces=count)
        for name, count in zip(paper.WFLW_SUBSETS, paper.WFLW_FACES, strict=True)
    }
    assert table_1([(FLOAT, replace(alignment(1), subsets=figures))]).notes == ()


def test_int8_minus_float_stands_below_with_its_sign():
    table = table_1([(FLOAT, alignment(5)), (INT8, alignment(5.25))], [(INT8, FLOAT)])

    assert labels(table, "NME (")[-3:] == [FLOAT, INT8, f"{INT8} minus {FLOAT}"]
    assert texts(table, f"{INT8} minus {FLOAT}", "NME (") == ["+0.25"] * 7
    assert texts(table, f"{INT8} minus {FLOAT}", "AUC") == ["0.000"] * 7
    assert f"NME of {INT8} is +5.00 % relative to {FLOAT}." in table.notes


def test_best_and_second_best_are_marked_among_the_papers_and_among_ours():
    table = table_1([(FLOAT, alignment(5)), (INT8, alignment(5.25))], [(INT8, FLOAT)])

    def marked(mark: str, group: str) -> set[str]:
        return {
            row.label
            for row in table.rows
            if row.group.startswith(group) and row.cells[0].mark == mark
        }

    assert marked("best", "NME (") == {"PropNet", FLOAT}
    assert marked("second", "NME (") == {"DeCaFA", INT8}
    assert marked("best", "AUC") == {"PropNet"}  # higher is better; ours are equal
    assert marked("second", "AUC") == {"DeCaFA"}


def test_one_network_alone_is_best_of_nothing():
    ours = [row for row in table_1([(FLOAT, alignment(5))]).rows if row.kind == "ours"]

    assert {cell.mark for row in ours for cell in row.cells} == {""}


def test_table_3_has_tracking_before_detection_and_both_distances():
    table = table_3([(FLOAT, video(1))])

    assert [column.name for column in table.columns] == ["Cat A", "Cat B", "Cat C"]
    assert texts(table, f"{FLOAT} (detection)", "inter-ocular") == ["1.00", "2.00", "3.00"]
    assert texts(table, f"{FLOAT} (tracking)", "inter-ocular") == ["11.00", "12.00", "13.00"]
    assert texts(table, f"{FLOAT} (detection)", "inter-pupil") == ["21.00", "22.00", "23.00"]
    assert texts(table, f"{FLOAT} (tracking)", "inter-pupil") == ["31.00", "32.00", "33.00"]
    assert labels(table, "inter-ocular")[-4:] == [
        "ATPN (tracking)",
        "ATPN (detection)",
        f"{FLOAT} (tracking)",
        f"{FLOAT} (detection)",
    ]
    assert texts(table, "FAB", "inter-ocular") == ["3.56", "3.88", "5.02"]
    assert texts(table, "4S-HG", "inter-pupil") == ["6.54", "5.65", "8.13"]


def test_table_3_subtracts_within_a_mode():
    table = table_3([(FLOAT, video(1)), (INT8, video(1.5))], [(INT8, FLOAT)])

    row = f"{INT8} (tracking) minus {FLOAT} (tracking)"
    assert texts(table, row, "inter-ocular") == ["+0.50"] * 3
    assert len([name for name in labels(table, "inter-ocular") if " minus " in name]) == 2


def test_table_4_counts_frames():
    table = table_4([(FLOAT, video(1))])

    groups = list(dict.fromkeys(row.group for row in table.rows))
    assert groups == [
        "Sequences",
        "Detection frame",
        "Tracking frame",
        "Failure frame",
        "Failure rate (%)",
    ]
    assert texts(table, FLOAT, "Detection") == ["2", "3", "4"]
    assert texts(table, FLOAT, "Failure rate") == ["4.00", "5.00", "6.00"]
    assert texts(table, "ATPN (paper)", "Tracking") == ["61,902", "32,766", "26,128"]
    assert texts(table, "ATPN (paper)", "Failure rate") == ["0.14", "0.00", "0.08"]


def test_a_category_without_videos_is_a_dash():
    table = table_3([(FLOAT, video(1, "AB"))])

    assert texts(table, f"{FLOAT} (tracking)", "inter-ocular")[2] == DASH
    assert "no video of category C" in table.notes[0]


def test_table_6_has_five_columns_a_subset():
    table = table_6([(FLOAT, pose(1))])

    spans = [column.span for column in table.columns]
    assert spans == ["Common subset"] * 5 + ["Challenging subset"] * 5
    assert [c.name.split()[0] for c in table.columns[:5]] == [
        "Yaw",
        "Pitch",
        "Roll",
        "MAE",
        "FR10°",
    ]
    assert texts(table, FLOAT) == [f"{v}.00" for v in (1, 2, 3, 4, 5, 11, 12, 13, 14, 15)]
    assert texts(table, "ATPN")[:5] == ["1.31", "2.38", "0.97", "1.55", "0.12"]
    assert texts(table, "ATPN")[5:] == ["2.62", "3.97", "1.93", "2.84", "1.49"]
    assert [row.label for row in table.rows] == [row.method for row in paper.TABLE_6] + [FLOAT]


def test_table_6_gives_the_full_set_where_it_is_measured():
    table = table_6([(FLOAT, pose(1, ("full",)))])

    assert [c.span for c in table.columns][10:] == ["Full set"] * 5
    assert texts(table, FLOAT) == [DASH] * 10 + [f"{v}.00" for v in (1, 2, 3, 4, 5)]
    assert texts(table, "ATPN")[10:] == [DASH] * 5
    assert any("no common and no challenging subset" in note for note in table.notes)


def test_figure_6_is_in_percent():
    table = figure_6([(FLOAT, tracking(0.9934))])

    assert texts(table, FLOAT) == ["99.34", "100", "900"]
    assert table.rows[0].cells[0].text == "98.82"


def test_what_was_not_measured_is_not_printed():
    none = Evaluation("a", "torch", "0" * 64)
    one = replace(none, pose=(pose(1),))
    two = replace(none, alignment=(alignment(1), replace(alignment(2), dataset="other")))

    assert tables_of([none]) == []
    assert [t.title.split(":")[0] for t in tables_of([one])] == ["Table 6"]
    assert [t.title.split(" on ")[1] for t in tables_of([two])] == ["mine", "other"]


def test_every_table_comes_in_the_papers_order_with_differences_by_name():
    def of(model: str, more: float) -> Evaluation:
        return Evaluation(
            model,
            "any",
            "0" * 64,
            (alignment(1 + more),),
            (pose(1 + more),),
            (tracking(0.9 + more / 100),),
            (video(1 + more),),
        )

    tables = tables_of([of(FLOAT, 0), of(INT8, 1)])

    assert [t.title.split(":")[0] for t in tables] == [
        *("Table 1", "Table 3", "Table 4", "Table 6", "Figure 6")
    ]
    for table in tables:
        assert any(row.kind == "difference" for row in table.rows)
    assert tables[-1].rows[-1].cells[0].text == "+1.00"


@pytest.mark.parametrize(
    ("label", "network"),
    [
        ("atpn-lite.safetensors", "atpn-lite"),
        ("atpn-lite-int8.tflite", "atpn-lite"),
        ("atpn-lite-align-fp32.onnx", "atpn-lite"),
        ("atpn-dynamic-int8.onnx", "atpn"),
        ("atpn-lite-full-int8.tflite", "atpn-lite"),
        ("atpn-int16x8.tflite", "atpn"),
        ("mine-2-fp16.onnx on ONNX Runtime 1.32.0", "mine-2"),
        ("int8.tflite", "int8"),
    ],
)
def test_a_files_name_tells_its_network(label, network):
    assert network_of(label) == network


def test_each_file_is_compared_with_the_first_of_its_network():
    files = [FLOAT, "atpn-lite.safetensors", INT8, "atpn-lite-int8.onnx", "atpn-fp16.onnx"]

    assert pairs_by_name(files) == [
        (INT8, FLOAT),
        ("atpn-lite-int8.onnx", "atpn-lite.safetensors"),
        ("atpn-fp16.onnx", FLOAT),
    ]


def test_a_file_is_compared_with_the_checkpoint_it_was_made_from_whatever_its_name():
    files = ["mine.safetensors", "atpn-lite-int8.tflite", "mine-fp16.onnx", "atpn-lite-fp32.onnx"]

    assert pairs_by_origin(files, ["abc", "abc", "", ""]) == [
        ("atpn-lite-int8.tflite", "mine.safetensors"),
        ("mine-fp16.onnx", "mine.safetensors"),
        ("atpn-lite-fp32.onnx", "mine.safetensors"),
    ]
    assert pairs_by_origin(files, ["", "", "", ""]) == pairs_by_name(files)
    assert pairs_by_origin(files, ["abc", "def", "", ""])[0] == (
        "mine-fp16.onnx",
        "mine.safetensors",
    )


def test_equal_names_are_told_apart_by_runtime_then_hash_then_number():
    one = Evaluation("a.tflite", "LiteRT 2", "1" * 64)
    other = replace(one, runtime="TensorFlow 2")
    third = replace(one, sha256="2" * 64)

    assert labels_of([one, replace(one, model="b")]) == ["a.tflite", "b"]
    assert labels_of([one, other]) == ["a.tflite on LiteRT 2", "a.tflite on TensorFlow 2"]
    assert labels_of([one, third])[1] == "a.tflite on LiteRT 2, 22222222"
    assert labels_of([one, one])[1] == "a.tflite on LiteRT 2, 11111111 (2)"
