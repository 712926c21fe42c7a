"""The building blocks of ATPN: inverted residual, squeeze-excite, multiview, CoordConv."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atpn_deploy.config import Activation, Row


def activation(kind: Activation) -> nn.Module:
    """ReLU or hard-swish."""
    return nn.Hardswish() if kind == "hard_swish" else nn.ReLU()


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm and, unless `act` is None, an activation.

    Padding is symmetric, (kernel - 1) / 2 on every side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        pad = (kernel - 1) // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        if act is not None:
            self.act = activation(act)


class DeconvNorm(nn.Sequential):
    """Twice the height and width: a dense 2x2 deconvolution with stride 2, then a batch norm.

    Without the norm, what the coarse levels add grows during training to twenty times the level it
    is added to, and an int8 sum then keeps nothing of the latter. The deconvolution is dense and
    has no bias: a grouped one, or one with a bias, breaks TFLite int8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)


class SqueezeExcite(nn.Module):
    """Channel attention: x * hard_sigmoid(expand(relu(reduce(mean(x))))), reduced four times."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(8, (channels // 4 + 4) // 8 * 8)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        squeezed = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        gate: Tensor = self.gate(self.expand(self.relu(self.reduce(squeezed))))
        return x * gate


class InvertedResidual(nn.Module):
    """MobileNetV3's block: expand 1x1, depthwise k x k, squeeze-excite, project 1x1, shortcut."""

    def __init__(self, inputs: int, row: Row) -> None:
        super().__init__()
        self.shortcut = row.stride == 1 and inputs == row.out
        self.expand = (
            nn.Identity()
            if row.expansion == inputs
            else ConvNormAct(inputs, row.expansion, 1, act=row.activation)
        )
        self.depthwise = ConvNormAct(
            row.expansion,
            row.expansion,
            row.kernel,
            stride=row.stride,
            groups=row.expansion,
            act=row.activation,
        )
        self.squeeze_excite = SqueezeExcite(row.expansion) if row.squeeze_excite else nn.Identity()
        self.project = ConvNormAct(row.expansion, row.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, out, H / stride, W / stride)."""
        y: Tensor = self.project(self.squeeze_excite(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


def stage(inputs: int, rows: tuple[Row, ...]) -> nn.Sequential:
    """Inverted residuals one after the other."""
    widths = (inputs, *(row.out for row in rows))
    return nn.Sequential(*(InvertedResidual(w, row) for w, row in zip(widths, rows, strict=False)))


class Multiview(nn.Module):
    """Figure 3: three 3x3 convolutions in a row, C/2, C/4, C/4 wide, concatenated, plus input."""

    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.first = ConvNormAct(channels, half, 3, act=act)
        self.second = ConvNormAct(half, quarter, 3, act=act)
        self.third = ConvNormAct(quarter, quarter, 3, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        first = self.first(x)
        second = self.second(first)
        third = self.third(second)
        return x + torch.cat((first, second, third), 1)


def coordinate_planes(height: int, width: int) -> Tensor:
    """(1, 2, H, W): x, then y of every cell of the grid, -1 left and top to 1 right and bottom."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    return torch.stack((x, y))[None]


class CoordConv(nn.Module):
    """Append the x and y planes, then convolve 3x3 with a stride, normalise and activate."""

    planes: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, side: int, stride: int, act: Activation, coords: bool
    ) -> None:
        super().__init__()
        self.coords = coords
        if coords:
            self.register_buffer("planes", coordinate_planes(side, side), persistent=False)
        self.project = ConvNormAct(inputs + 2 * coords, outputs, 3, stride=stride, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) to (B, outputs, side / stride, side / stride)."""
        if self.coords:
            x = torch.cat((x, self.planes.expand(x.shape[0], -1, -1, -1)), 1)
        y: Tensor = self.project(x)
        return y


class CoordDepthwiseHead(nn.Module):
    """7x7 depthwise convolution to a vector, coordinates appended, then a linear layer.

    Unlike pooling it keeps where a feature was (paper, section 3.1). The convolution has a bias
    and no batch norm: over one pixel, statistics are those of a batch alone, and their noise
    reaches the landmarks undamped (with batches of 32 the training error stood at 30 % of the
    inter-ocular distance where it is 10 % without).
    """

    planes: Tensor

    def __init__(self, inputs: int, outputs: int, *, side: int, coords: bool) -> None:
        super().__init__()
        self.coords = coords
        if coords:
            self.register_buffer("planes", coordinate_planes(side, side), persistent=False)
        channels = inputs + 2 * coords
        self.depthwise = nn.Conv2d(channels, channels, side, groups=channels)
        self.linear = nn.Linear(channels, outputs)
        # Training starts at the mean shape, at no rotation and at even odds.
        nn.init.normal_(self.linear.weight, std=1e-3)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, side, side) to (B, outputs)."""
        if self.coords:
            x = torch.cat((x, self.planes.expand(x.shape[0], -1, -1, -1)), 1)
        y: Tensor = self.linear(self.depthwise(x).flatten(1))
        return y
