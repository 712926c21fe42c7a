"""Gradients of depthwise convolutions by another way than PyTorch's: the same, for those meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from atpn_deploy.training import depthwise
from atpn_deploy.training.depthwise import FastDepthwise


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the weights whose convolution was taken over."""
    shapes: list[tuple[int, ...]] = []
    apply = depthwise._Depthwise.apply

    def note(x: Tensor, weight: Tensor, *rest: object) -> Tensor:
        shapes.append(tuple(weight.shape))
        return apply(x, weight, *rest)

    monkeypatch.setattr(depthwise._Depthwise, "apply", note)
    return shapes


def gradients(layer: nn.Conv2d, x: Tensor) -> list[Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
    inputs = [x, *layer.parameters()]
    return [y, *torch.autograd.grad((y * weights).sum(), inputs)]


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (lambda: nn.Conv2d(6, 6, 5, 1, 2, groups=6, bias=False), (7, 9)),
        (lambda: nn.Conv2d(6, 6, 5, 2, 2, groups=6, bias=False), (14, 14)),
        (lambda: nn.Conv2d(6, 6, 5, 2, 2, groups=6, bias=False), (13, 7)),
        (lambda: nn.Conv2d(6, 6, 5, (1, 3), (0, 1), groups=6), (8, 11)),
        (lambda: nn.Conv2d(6, 6, 7, groups=6), (7, 7)),
    ],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients_are_pytorchs(
    make: Callable[[], nn.Conv2d],
    side: tuple[int, int],
    layout: torch.memory_format,
    taken: list[tuple[int, ...]],
) -> None:
    torch.manual_seed(1)
    layer, x = make().to(memory_format=layout), torch.randn(3, 6, *side)
    expected = gradients(layer, x.contiguous(memory_format=layout))
    assert taken == []

    with FastDepthwise():
        found = gradients(layer, x.contiguous(memory_format=layout))

    assert taken == [tuple(layer.weight.shape)]
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 6, 3, 1, 1, groups=6),  # fast as it is
        nn.Conv2d(6, 6, 7, 1, 3, groups=6),  # meets its map in many places
        nn.Conv2d(6, 6, 5, 1, 2, groups=3),
        nn.Conv2d(6, 12, 5, 1, 2, groups=6),
        nn.Conv2d(6, 6, 5, 1, 4, dilation=2, groups=6),
        nn.Conv2d(6, 6, 5, padding="same", groups=6),
        nn.Conv2d(6, 6, 5, 1, 2, groups=6).requires_grad_(False),
    ],
)
def test_others_are_left_alone(layer: nn.Conv2d, taken: list[tuple[int, ...]]) -> None:
    with FastDepthwise():
        layer(torch.randn(2, 6, 7, 7))

    assert taken == []


def test_nothing_is_taken_over_where_nothing_is_learnt(taken: list[tuple[int, ...]]) -> None:
    layer, x = nn.Conv2d(6, 6, 5, 1, 2, groups=6), torch.randn(2, 6, 7, 7)

    with FastDepthwise():
        with torch.no_grad():
            layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            layer(x)

    assert taken == []


def test_a_frozen_input_and_a_frozen_bias_get_no_gradient() -> None:
    layer = nn.Conv2d(6, 6, 5, 1, 2, groups=6)
    assert layer.bias is not None
    layer.bias.requires_grad_(False)

    with FastDepthwise():
        layer(torch.randn(2, 6, 7, 7)).sum().backward()

    assert layer.bias.grad is None
    assert layer.weight.grad is not None
