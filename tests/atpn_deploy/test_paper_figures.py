from __future__ import annotations

import math

import pytest

from atpn_deploy.config import ATPNConfig
from atpn_deploy.evaluation import paper
from atpn_deploy.evaluation.paper import PoseNumbers

POSE_NUMBERS = [
    (f"{row.method}, {subset}", getattr(row, subset))
    for row in (*paper.TABLE_6, *paper.TABLE_8)
    for subset in ("common", "challenging")
]
#: Every place of table 1: method, subset, its faces, NME, failure rate, AUC.
PLACES = [
    (f"{row.method}, {subset}", count, nme, failed, auc)
    for row in paper.TABLE_1
    for subset, count, nme, failed, auc in zip(
        paper.WFLW_SUBSETS,
        paper.WFLW_FACES,
        row.nme_percent,
        row.failure_percent,
        row.auc,
        strict=True,
    )
]


def slips(where: str) -> str:
    return " ".join(slip.what for slip in paper.SLIPS if slip.where == where)


def is_share(percent: float, of: int, decimals: int = 2) -> bool:
    """Whether some whole number of `of` gives this percentage, rounded."""
    around = math.floor(percent * of / 100)
    return any(round(100 * k / of + 1e-9, decimals) == percent for k in (around, around + 1))


def test_mae_is_the_mean_of_the_three_angles_but_for_one_slip():
    def differs(numbers: PoseNumbers) -> bool:
        mean = (numbers.yaw_deg + numbers.pitch_deg + numbers.roll_deg) / 3
        return abs(mean - numbers.mae_deg) > 0.00501

    assert [name for name, numbers in POSE_NUMBERS if differs(numbers)] == ["FSA-Net, challenging"]
    assert "4.12" in slips("table 6")


def test_auc_is_possible_for_its_nme_but_for_one_slip():
    """The mean of max(0, 1 - e / 0.1) is at least 1 - NME / 0.1, and at most the share within."""
    low = [
        name
        for name, _, nme, _, auc in PLACES
        if None not in (nme, auc) and auc + 0.0005 < 1 - (nme + 0.005) / 10
    ]
    high = [
        name
        for name, _, _, failed, auc in PLACES
        if None not in (failed, auc) and auc - 0.0005 > 1 - failed / 100
    ]
    assert low == ["3FabRec, occlusion"]
    assert high == []


def test_failure_rates_are_whole_numbers_of_faces_but_for_the_slips_that_are_named():
    odd = {name for name, count, _, f, _ in PLACES if f is not None and not is_share(f, count)}

    assert {name for name in odd if name.startswith("ATPN")} == {
        "ATPN, testset",
        "ATPN, illumination",
        "ATPN, occlusion",
    }
    assert {name for name in odd if name.startswith("DeCaFA")} == {
        f"DeCaFA, {subset}" for subset in paper.WFLW_SUBSETS[1:]
    }
    assert len(odd) == 3 + 6 + 3


def test_pose_failure_rates_count_angles():
    rates = {
        (count, getattr(row, subset).failure_percent)
        for row in (*paper.TABLE_6, *paper.TABLE_8)
        for subset, count in paper.POSE_FACES.items()
    }
    of_angles = sum(is_share(rate, 3 * count) for count, rate in rates)
    of_faces = sum(is_share(rate, count) for count, rate in rates)

    assert len(rates) == 15
    assert (of_angles, of_faces) == (10, 3)
    assert "10 of the 15" in slips("tables 6 and 8")


def test_the_same_network_has_the_same_figures_in_every_table():
    atpn, full = paper.TABLE_1[-1], paper.TABLE_7[-1]
    assert atpn.method == "ATPN"
    assert full.nme_percent == atpn.nme_percent
    assert full.failure_percent == atpn.failure_percent[0]
    assert paper.TABLE_8[-1].common == paper.TABLE_6[-1].common
    assert paper.TABLE_8[-1].challenging == paper.TABLE_6[-1].challenging


def test_every_row_has_seven_subsets():
    for row in paper.TABLE_1:
        assert {len(row.nme_percent), len(row.failure_percent), len(row.auc)} == {7}


@pytest.mark.parametrize(
    "ranked",
    [
        [row.nme_percent[0] for row in paper.TABLE_1 if not row.mobile],
        [row.nme_percent[0] for row in paper.TABLE_1 if row.mobile],
        [row.nme_percent[0] for row in paper.TABLE_3_OCULAR],
        [row.nme_percent[0] for row in paper.TABLE_3_PUPIL],
        [row.parameters_m for row in paper.TABLE_2],
        [row.parameters_m for row in paper.TABLE_5],
        [row.common.mae_deg for row in paper.TABLE_6],
        [row.nme_percent[0] for row in paper.TABLE_7],
    ],
)
def test_rows_are_ranked_as_their_captions_say(ranked):
    assert ranked == sorted(ranked, reverse=True)


def test_table_8_is_not_ranked_as_its_caption_says():
    assert [row.common.mae_deg for row in paper.TABLE_8] == [1.68, 1.71, 1.55]


def test_a_sequence_starts_with_a_detection_and_a_failure_needs_another():
    for category in paper.TABLE_4:
        assert category.detection_frames == category.sequences + category.failure_frames
        frames = category.detection_frames + category.tracking_frames
        assert round(100 * category.failure_frames / frames, 2) == category.failure_percent


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (5.26, paper.TABLE_1[-1].nme_percent[0], 2.47),  # section 4.4.1, against G&LSR-w
        (3.82, paper.TABLE_3_OCULAR[-1].nme_percent[0], 8.64),  # 4.4.2, against DeCaFA
        (6.67, paper.TABLE_3_OCULAR[-1].nme_percent[2], 26.69),
        (2.45, paper.TABLE_6[-1].common.mae_deg, 36.73),  # 4.4.3, against Openface2.0
        (paper.TABLE_7[0].nme_percent[0], paper.TABLE_7[1].nme_percent[0], 3.74),  # 4.5.1
        (paper.TABLE_7[0].failure_percent, paper.TABLE_7[1].failure_percent, 17.51),
        (paper.TABLE_7[2].failure_percent, paper.TABLE_7[3].failure_percent, 16.62),
        (paper.TABLE_7[2].nme_percent[0], paper.TABLE_7[3].nme_percent[0], 3.75),  # text: 3.57
        (paper.TABLE_8[1].common.mae_deg, paper.TABLE_8[2].common.mae_deg, 9.36),  # text: swapped
        (paper.TABLE_8[1].challenging.mae_deg, paper.TABLE_8[2].challenging.mae_deg, 10.41),
        (3.63, paper.TABLE_3_OCULAR[-1].nme_percent[1], 1.65),  # text: 1.66
    ],
)
def test_improvements_are_those_of_the_text(before, after, percent):
    assert 100 * (before - after) / before == pytest.approx(percent, abs=0.005)


def test_modules_are_fields_of_the_config():
    for name in (*paper.ALIGNMENT_MODULES, *paper.BRANCH_MODULES):
        assert getattr(ATPNConfig(), name) is True
    assert [len(row.modules) for row in paper.TABLE_7] == [0, 1, 2, 3]
