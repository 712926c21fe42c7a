from __future__ import annotations

import torch
from torch import nn

from atpn_deploy.training.idle_channels import IDLE_VARIANCE, silence_idle_channels


def norm(variance: list[float]) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(len(variance)).eval()
    layer.running_var = torch.tensor(variance)
    nn.init.constant_(layer.bias, 0.5)
    return layer


def test_idle_channel_becomes_its_shift_and_the_others_stay() -> None:
    layer = norm([1e-30, 1.0])
    image = torch.randn(1, 2, 4, 4)
    before = layer(image)
    assert silence_idle_channels(nn.Sequential(layer)) == 1
    after = layer(image)
    assert bool((after[:, 0] == 0.5).all())
    assert torch.equal(after[:, 1], before[:, 1])


def test_channel_at_the_threshold_is_kept() -> None:
    layer = norm([IDLE_VARIANCE])
    assert silence_idle_channels(layer) == 0
    assert layer.weight.item() == 1
