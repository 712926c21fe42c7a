"""The networks in PyTorch: two independent counts, the paper's totals and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor, nn

from atpn_benchmarks.counting import pytorch_operators
from atpn_benchmarks.counting.count import count
from atpn_benchmarks.counting.network import (
    ALIGNMENT,
    ALL,
    TRACKING,
    NetworkCount,
    count_modules,
    count_network,
)
from atpn_benchmarks.counting.operators import cost
from atpn_benchmarks.counting.published import TARGETS, table_2, table_5
from atpn_deploy.config import ATPN_CONFIG, CONFIGS, variant_named
from atpn_deploy.evaluation.rendering import to_markdown

pytestmark = pytest.mark.needs("torch", "fvcore")


@pytest.fixture(scope="module")
def networks() -> dict[str, NetworkCount]:
    return {name: count_network(config) for name, config in CONFIGS.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_fvcore_and_our_own_count_agree(networks: dict[str, NetworkCount], name: str) -> None:
    network = networks[name]
    whole = network.module("")
    assert (network.cost.macs, network.cost.parameters) == (whole.macs, whole.parameters)
    assert network.cost.uncounted == {}


def test_atpn_keeps_to_the_paper_s_totals(networks: dict[str, NetworkCount]) -> None:
    assert [target.kept_by(networks["atpn"]) for target in TARGETS] == [True, True]
    assert [(target.parameters, target.macs) for target in TARGETS] == [
        (pytest.approx(1.1e6), pytest.approx(0.06e9)),
        (pytest.approx(0.19e6), pytest.approx(0.017e9)),
    ]


def test_a_network_beyond_two_percent_does_not_keep_to_them() -> None:
    without = count_network(variant_named("atpn", ["multiview"]))
    assert [target.kept_by(without) for target in TARGETS] == [False, True]


def test_atpn_lite_has_the_multiply_adds_without_the_parameters(
    networks: dict[str, NetworkCount],
) -> None:
    lite, atpn = (networks[name].branch(ALIGNMENT) for name in ("atpn-lite", "atpn"))
    assert lite.macs == pytest.approx(atpn.macs, rel=0.02)
    assert lite.parameters < 0.7 * atpn.parameters


def test_branches_and_children_add_up(networks: dict[str, NetworkCount]) -> None:
    network = networks["atpn"]
    children = [module for module in network.modules if module.depth == 1]
    assert sum(module.macs for module in children) == network.branch(ALL).macs
    assert sum(module.parameters for module in children) == network.branch(ALL).parameters
    assert network.branch(TRACKING).macs == network.module("tracking").macs


def test_a_tree_stops_at_its_depth(networks: dict[str, NetworkCount]) -> None:
    shown = [module.path for module in networks["atpn"].down_to(1)]
    assert shown == ["", "low", "high", "alignment", "tracking", "pose"]  # the heat map has none
    assert "low.stem" in [module.path for module in networks["atpn"].down_to(2)]


def test_what_fvcore_does_not_know_is_listed(networks: dict[str, NetworkCount]) -> None:
    unknown = networks["atpn"].unknown
    assert (unknown["aten::hardswish"], unknown["aten::hardsigmoid"]) == (43, 15)
    assert "aten::hardswish" not in networks["atpn-lite"].unknown


class Small(nn.Module):
    """Takes what the contract gives, so that every layer's answer is arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(8, 4, 3, dilation=2, groups=2, bias=False)
        self.up = nn.ConvTranspose2d(4, 6, 2, stride=2)
        self.odd = nn.PixelShuffle(1)
        self.linear = nn.Linear(104, 5)

    def forward(self, image: Tensor) -> Tensor:
        planar = image.permute(0, 3, 1, 2)
        y: Tensor = self.linear(self.odd(self.up(self.grouped(self.conv(planar)))))
        return y


SMALL_MACS = {
    "conv": 8 * 56 * 56 * 3 * 9,
    "grouped": 4 * 52 * 52 * 4 * 9,
    "up": 52 * 52 * 4 * 6 * 4,
    "odd": 0,
    "linear": 6 * 104 * 104 * 5,
}


def test_each_pytorch_layer_has_its_multiply_adds() -> None:
    modules, unknown = count_modules(Small())
    assert {module.path: module.macs for module in modules if module.path} == SMALL_MACS
    assert unknown == {"aten::pixel_shuffle": 1}


def test_our_own_trace_has_them_too_and_lists_what_it_does_not_know() -> None:
    traced = pytorch_operators.read(Small())
    labels = {node.outputs[0]: node.label for node in traced.nodes}
    counted = count(traced, pytorch_operators.VOCABULARY, labels)
    found = {operator.module: operator.macs for operator in counted.operators if operator.module}
    assert found == {**SMALL_MACS, "odd": None}
    assert cost(counted).uncounted == {"PixelShuffle": 1}
    # What is shuffled and the result: nobody knows that this one could be a view.
    assert cost(counted).activation_bytes == 2 * 4 * 6 * 104 * 104


def test_table_2_has_the_paper_s_rows_beside_ours(networks: dict[str, NetworkCount]) -> None:
    lines = to_markdown(table_2([networks["atpn"]])).splitlines()
    assert lines[4:12] == [
        "| PropNet | 36.3 | 42.83 |",
        "| LAB | 12.3 | 18.85 |",
        "| DeCaFA | about 10 | about 30 |",
        "| 2 Hourglass | 6.3 | 8 |",
        "| MuSiCa98 | about 3 | about 0.25 |",
        "| G&LSR-w | 1.83 | 0.06 |",
        "| ATPN (backbone + alignment branch) | 1.1 | 0.06 |",
        "| atpn (backbone + alignment branch), counted | 1.093 | 0.0596 |",
    ]


def test_table_5_has_the_paper_s_rows_beside_ours(networks: dict[str, NetworkCount]) -> None:
    lines = to_markdown(table_5([networks["atpn"], networks["atpn-lite"]])).splitlines()
    assert lines[4:8] == [
        "| MTCNN | 0.47 | 0.7 to 1.4 |",
        "| ATPN (tracking branch) | 0.19 | 0.017 |",
        "| atpn (tracking branch), counted | 0.189 | 0.0169 |",
        "| atpn-lite (tracking branch), counted | 0.108 | 0.0168 |",
    ]


def test_the_page_shows_both_tables_as_they_are_counted(networks: dict[str, NetworkCount]) -> None:
    both = [networks["atpn"], networks["atpn-lite"]]
    rows = (to_markdown(table_2(both)) + to_markdown(table_5(both))).splitlines()
    page = (Path(__file__).parents[3] / "docs" / "profiler.md").read_text().splitlines()
    assert [row for row in rows if row.startswith("|") and row not in page] == []


def test_config_of_the_totals_is_the_shipped_one() -> None:
    assert CONFIGS["atpn"] == ATPN_CONFIG
