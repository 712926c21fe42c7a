"""The moving average of weights, held to one worked out by hand."""

from __future__ import annotations

import pytest
import torch

from atpn_deploy.training.average import AveragedWeights


def test_the_average_forgets_faster_while_it_is_young() -> None:
    weight = torch.tensor([0.0])
    average = AveragedWeights([weight], decay=0.15)
    weight.fill_(1.0)
    average.update([weight], 0)  # keeps (1 + 0) / (10 + 0) of 0
    assert average.tensors[0].item() == pytest.approx(0.9)
    weight.fill_(3.0)
    average.update([weight], 1)  # would keep 2/11 of 0.9, and may keep 0.15
    assert average.tensors[0].item() == pytest.approx(0.15 * 0.9 + 0.85 * 3)


def test_an_average_that_keeps_nothing_is_the_last_weight() -> None:
    weight = torch.tensor([0.1, 0.2])
    average = AveragedWeights([weight], decay=0.0)
    weight.mul_(7)
    average.update([weight], 50)
    assert torch.equal(average.tensors[0], weight)


def test_the_average_takes_the_weights_place_and_stays_its_own() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    average = AveragedWeights([weight], decay=0.5)
    with torch.no_grad():
        weight.fill_(9.0)
    assert average.tensors[0].tolist() == [1, 1]
    average.copy_to([weight])
    assert weight.tolist() == [1, 1]
    assert weight.requires_grad
