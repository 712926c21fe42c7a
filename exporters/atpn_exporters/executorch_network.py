"""ATPN as ExecuTorch's XNNPACK delegate takes it whole: the same function, other operators.

The delegate has no minimum over a dimension and copies a Python number into a tensor at every run,
outside of itself. Tests hold each substitute equal to what it stands for.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from atpn_deploy.blocks import SqueezeExcite
from atpn_deploy.folding import FoldedATPN
from atpn_deploy.heatmap import HEATMAP_SIDE, LandmarkHeatmap
from atpn_deploy.model import ATPN


def least(x: Tensor) -> Tensor:
    """(B, N, H, W) to (B, 1, H, W): the minimum over N, by halves that overlap where N is odd."""
    while x.shape[1] > 1:
        half = (x.shape[1] + 1) // 2
        x = torch.minimum(x[:, :half], x[:, x.shape[1] - half :])
    return x


class HalvedHeatmap(nn.Module):
    """`LandmarkHeatmap` with the minimum taken by halves and every number a tensor."""

    columns: Tensor
    rows: Tensor
    one: Tensor
    side: Tensor

    def __init__(self, heatmap: LandmarkHeatmap) -> None:
        super().__init__()
        self.floor = heatmap.floor
        cells = heatmap.cells.flatten()  # (28,)
        self.register_buffer("columns", cells.view(1, 1, 1, -1).clone())
        self.register_buffer("rows", cells.view(1, 1, -1, 1).clone())
        self.register_buffer("one", torch.ones(1, 1, 1, 1))
        self.register_buffer("side", torch.full((1, 1, 1, 1), float(HEATMAP_SIDE)))

    def forward(self, landmarks: Tensor) -> Tensor:
        """(1, N, 2) fractions of the crop to (1, 1, 28, 28) in [floor, 1]."""
        count = landmarks.shape[1]
        dx = self.columns - landmarks[:, :, :1].reshape(1, count, 1, 1)  # (1, N, 1, 28)
        dy = self.rows - landmarks[:, :, 1:].reshape(1, count, 1, 1)  # (1, N, 28, 1)
        distance = least(dy * dy + dx * dx).sqrt()  # (1, 1, 28, 28)
        return (self.one + self.side * distance).rsqrt().clamp_min(self.floor)


def fold_hard_sigmoid(block: SqueezeExcite) -> None:
    """Let the gate be a clamp: hard_sigmoid(x) = clamp(x / 6 + 1/2, 0, 1), scaled in the weights.

    The delegate fuses a clamp into the convolution before it; in int8 it costs nothing at all.
    """
    expand = block.expand
    if expand.bias is None:
        raise TypeError("the gate's convolution has a bias")
    expand.weight = nn.Parameter((expand.weight.double() / 6).float(), requires_grad=False)
    expand.bias = nn.Parameter((expand.bias.double() / 6 + 0.5).float(), requires_grad=False)
    block.gate = cast(nn.Hardsigmoid, nn.Hardtanh(0.0, 1.0))


def delegable(model: ATPN, signature: str) -> FoldedATPN:
    """The folded network of one signature with every substitute in place."""
    network = FoldedATPN(model, signature)
    if isinstance(network.heatmap, LandmarkHeatmap):
        network.heatmap = cast(LandmarkHeatmap, HalvedHeatmap(network.heatmap))
    for module in network.modules():
        if isinstance(module, SqueezeExcite):
            fold_hard_sigmoid(module)
    return network.eval()
