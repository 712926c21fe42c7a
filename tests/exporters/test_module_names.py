"""A converter's names lead back to the PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from atpn_exporters.module_names import NamedOperator, called_names_of, owners, traced_label

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("/high/high/high.0/expand/conv/Conv", "high.high.0.expand.conv"),
        ("/low/low/low.0/Add", "low.low.0"),
        ("/alignment/coord.2/act/HardSwish", "alignment.coord.2.act"),
        ("/alignment/neck/Add_1", "alignment.neck"),
        ("/Tanh", ""),
    ],
)
def test_a_traced_node_names_its_module(node: str, module: str) -> None:
    assert traced_label(node) == module


#: A list of modules is never called: both blocks of level 0 are `branch.0` in a trace.
CALLED = {
    "": "",
    "branch": "branch",
    "branch.view.0": "branch.0",
    "branch.view.0.conv": "branch.0.conv1",
    "branch.coord.0": "branch.0",
    "branch.coord.0.conv": "branch.0.conv2",
}


def test_an_ambiguous_operator_belongs_to_the_module_that_made_its_input() -> None:
    operators = [
        NamedOperator("branch.0.conv1", (0,), (1,)),
        NamedOperator("branch.0", (0, 1), (2,)),  # what the view adds to its input
        NamedOperator("branch.0.conv2", (2,), (3,)),
        NamedOperator("branch.0", (3, 9), (4,)),  # what the CoordConv adds: a constant
        NamedOperator("branch", (4,), (5,)),
        NamedOperator("full_landmarks_output", (5,), (6,)),
    ]
    assert owners(operators, CALLED) == [
        "branch.view.0.conv",
        "branch.view.0",
        "branch.coord.0.conv",
        "branch.coord.0",
        "branch",
        "",
    ]


@pytest.mark.needs("torch")
def test_only_lists_of_modules_are_left_out_of_a_path(reference: Callable[[str], ATPN]) -> None:
    called = called_names_of(reference("atpn-lite"))
    assert called["alignment.coord.2.conv"] == "alignment.2.conv"
    assert called["high.mid.0.depthwise.conv"] == "high.mid.0.depthwise.conv"
    assert "alignment.coord" not in called
