from __future__ import annotations

import torch
from torch import nn

from atpn_deploy.blocks import CoordDepthwiseHead
from atpn_deploy.training.settling import (
    IDLE_VARIANCE,
    balance_heads,
    remeasure_batch_norms,
    silence_idle_channels,
)


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


def test_statistics_are_those_of_all_batches_alike() -> None:
    layer = norm([1.0])
    batches = [torch.full((2, 1, 1, 1), 5.0), torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)]
    remeasure_batch_norms([layer], lambda i: layer(batches[i]), 2)
    assert layer.running_mean is not None
    assert layer.running_mean.item() == (5 + 2) / 2
    assert layer.running_var is not None
    assert layer.running_var.item() == (0 + 2) / 2  # unbiased variance of 1 and 3 is 2
    assert not layer.training
    assert layer.momentum == 0.1


def test_without_batches_the_statistics_stay() -> None:
    layer = norm([0.25])
    remeasure_batch_norms([layer], lambda i: None, 0)
    assert layer.running_var is not None
    assert layer.running_var.item() == 0.25


def test_balanced_heads_compute_the_same_and_share_evenly() -> None:
    torch.manual_seed(5)
    head = CoordDepthwiseHead(6, 10, side=7, coords=True).requires_grad_(False)
    nn.init.normal_(head.linear.weight, 0, 0.3)
    head.depthwise.weight.data *= torch.logspace(-1, 2, 8)[:, None, None, None]
    images = torch.randn(64, 6, 7, 7)
    before = head(images)
    balance_heads([head], lambda index: head(images[32 * index :][:32]), 2)

    planes = head.planes.expand(64, -1, -1, -1)
    channels = head.depthwise(torch.cat((images, planes), 1)).flatten(1)[:, :6]
    torch.testing.assert_close(channels.mean(0), torch.zeros(6), rtol=0, atol=1e-4)
    weights = head.linear.weight[:, :6].abs().amax(0)
    whole = head.linear.weight.abs().max()
    torch.testing.assert_close(channels.std(0), weights / whole, rtol=0, atol=1e-4)
    assert channels.std(0).min() < 0.9 < channels.std(0).max()
    torch.testing.assert_close(head(images), before, rtol=0, atol=1e-4)
