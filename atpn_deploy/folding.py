"""Exact rewrites for deployment: the same function with fewer operators.

Batch norm is folded into its convolution (what one behind a deconvolution adds, into the level that
is added there), the 0..1 scaling into the stem, coordinate planes into a constant map (CoordConv)
or a bias (depthwise head), and the softmax over two classes becomes the sigmoid of their
difference. Tests hold each rewrite equal to the reference.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from atpn_deploy.blocks import ConvNormAct, CoordConv, CoordDepthwiseHead, DeconvNorm
from atpn_deploy.contract import SIGNATURES
from atpn_deploy.model import ATPN, Neck


def fold_batch_norm(block: ConvNormAct) -> nn.Conv2d:
    """The convolution with bias that equals `block.conv` followed by `block.norm` in eval mode."""
    conv = block.conv
    scale, shift = scale_and_shift(block.norm)
    folded = copy.deepcopy(conv)
    folded.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).float())
    folded.bias = nn.Parameter(shift.float())
    return folded


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm does in eval mode, y = scale x + shift, each (C,).

    In double precision: a fold then adds no error of its own to the float32 weights.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale


class FoldedConv(nn.Sequential):
    """A convolution with bias and, where the block had one, its activation."""

    def __init__(self, block: ConvNormAct) -> None:
        super().__init__()
        self.conv = fold_batch_norm(block)
        if hasattr(block, "act"):
            self.act = copy.deepcopy(block.act)


class FoldedNeck(nn.Module):
    """A neck without batch norms; what a deconvolution's adds, the level that is added there adds.

    A deconvolution with a bias of its own can't be quantised by LiteRT's tools.
    """

    def __init__(self, neck: Neck) -> None:
        super().__init__()
        self.low, self.mid, self.high = (FoldedConv(c) for c in (neck.low, neck.mid, neck.high))
        self.up_mid = _fold_deconvolution(neck.up_mid, self.mid.conv)
        self.up_low = _fold_deconvolution(neck.up_low, self.low.conv)

    forward = Neck.forward


def _fold_deconvolution(block: DeconvNorm, level: nn.Conv2d) -> nn.ConvTranspose2d:
    """The block's deconvolution with its norm's scale; the norm's shift moves into `level`."""
    scale, shift = scale_and_shift(block.norm)
    deconv = copy.deepcopy(block.deconv)
    weight = deconv.weight.double() * scale[:, None, None]  # (inputs, outputs, 2, 2)
    deconv.weight = nn.Parameter(weight.float())
    if level.bias is None:
        raise TypeError("a folded convolution has a bias")
    level.bias = nn.Parameter((level.bias.double() + shift).float())
    return deconv


class FoldedCoordConv(nn.Module):
    """CoordConv without a concat: what the planes contribute is a constant map, added after.

    The map's greatest value in each channel is part of the convolution's bias, so that the map is
    nowhere above 0. What the convolution leaves below 0 then stays below it and ends as the ReLU's
    0: a ReLU before the sum changes nothing, and int8 spends no steps on it. Convolutions reached
    -19 there whose sums mattered from 0 to 9, which cost 0.3 px a level. A hard-swish sees down to
    -3 and is left alone.
    """

    offset: Tensor

    def __init__(self, block: CoordConv) -> None:
        super().__init__()
        conv = fold_batch_norm(block.project)
        channels = conv.in_channels - block.planes.shape[1]
        offset = functional.conv2d(
            block.planes.double(),
            conv.weight[:, channels:].double(),
            stride=conv.stride,
            padding=conv.padding,
        )
        greatest = offset.amax((0, 2, 3))  # (outputs,)
        self.register_buffer("offset", (offset - greatest[:, None, None]).float())
        self.conv = _first_channels(conv, channels)
        if self.conv.bias is None:
            raise TypeError("a folded convolution has a bias")
        self.conv.bias = nn.Parameter((self.conv.bias.double() + greatest).float())
        self.act = copy.deepcopy(block.project.act)
        self.clip = nn.ReLU() if isinstance(self.act, nn.ReLU) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) to (B, outputs, side / stride, side / stride)."""
        y: Tensor = self.act(self.clip(self.conv(x)) + self.offset)
        return y


class FoldedHead(nn.Module):
    """The depthwise head without a concat: the coordinate channels are constants of the bias."""

    def __init__(self, block: CoordDepthwiseHead) -> None:
        super().__init__()
        depthwise = copy.deepcopy(block.depthwise)
        if depthwise.bias is None:
            raise TypeError("the depthwise head has a bias")
        linear = copy.deepcopy(block.linear)
        if block.coords:
            channels = depthwise.out_channels - block.planes.shape[1]
            constant = (depthwise.weight[channels:, 0].double() * block.planes[0].double()).sum(
                (1, 2)
            ) + depthwise.bias[channels:].double()  # (2,)
            contributed = linear.weight[:, channels:].double() @ constant
            linear.bias = nn.Parameter((linear.bias.double() + contributed).float())
            linear.weight = nn.Parameter(linear.weight[:, :channels].clone())
            linear.in_features = channels
            depthwise = _first_groups(depthwise, channels)
        self.depthwise = depthwise
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, side, side) to (B, outputs)."""
        vector = self.depthwise(x)  # (B, inputs, 1, 1)
        y: Tensor = self.linear(vector.reshape(vector.shape[0], vector.shape[1]))
        return y


def _first_channels(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """The part of a dense convolution that reads the first `channels` inputs."""
    part = copy.deepcopy(conv)
    part.weight = nn.Parameter(conv.weight[:, :channels].clone())
    part.in_channels = channels
    return part


def _first_groups(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """The first `channels` channels of a depthwise convolution."""
    part = copy.deepcopy(conv)
    part.weight = nn.Parameter(conv.weight[:channels].clone())
    part.bias = None if conv.bias is None else nn.Parameter(conv.bias[:channels].clone())
    part.in_channels = part.out_channels = part.groups = channels
    return part


def _fold(module: nn.Module) -> nn.Module:
    """The folded twin of one module; children keep their names."""
    if isinstance(module, ConvNormAct):
        return FoldedConv(module)
    if isinstance(module, CoordConv) and module.coords:
        return FoldedCoordConv(module)
    if isinstance(module, CoordDepthwiseHead):
        return FoldedHead(module)
    if isinstance(module, Neck):
        return FoldedNeck(module)
    for name, child in module.named_children():
        setattr(module, name, _fold(child))
    return module


class FoldedATPN(nn.Module):
    """ATPN rewritten for deployment; outputs as the contract names them, for one signature.

    Module names are those of the reference (`low.stem.conv`, `alignment.head.linear`, ...), so
    that a layer of an exported file can be traced back.
    """

    @torch.no_grad()
    def __init__(self, model: ATPN, signature: str = "full") -> None:
        super().__init__()
        source = copy.deepcopy(model).eval().requires_grad_(False)
        self.config = source.config
        self.signature = signature
        self.low = _fold(source.low)
        self.high = _fold(source.high)
        self.alignment = _fold(source.alignment)
        self.heatmap = source.heatmap
        self.tracking = _fold(source.tracking)
        self.pose = _fold(source.pose)
        shared = self.config.feature_sharing
        for low in ("low",) if shared else ("low", "tracking.own_low", "pose.own_low"):
            conv = self.get_submodule(f"{low}.stem.conv")
            conv.weight = nn.Parameter((conv.get_parameter("weight").double() / 255).float())
        self._difference_of_classes()
        self.eval().requires_grad_(False)

    def _difference_of_classes(self) -> None:
        """Replace the tracking logits by their difference: softmax(a, b)[1] = sigmoid(b - a)."""
        linear = self.tracking.get_submodule("head.linear")
        weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")  # (2, n), (2,)
        difference = nn.Linear(weight.shape[1], 1)
        difference.weight = nn.Parameter(weight[1:] - weight[:1])
        difference.bias = nn.Parameter(bias[1:] - bias[:1])
        self.tracking.get_submodule("head").linear = difference

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(1, 112, 112, 3) RGB in 0..255 to the outputs of the signature, by contract name."""
        planar = image.permute(0, 3, 1, 2)
        low = self.low(planar)
        landmarks = self.alignment(low, *self.high(low))
        outputs = {"landmarks": landmarks}
        if len(SIGNATURES[self.signature]) > 1:
            heat = None if self.heatmap is None else self.heatmap(landmarks)
            outputs["pose"] = torch.tanh(self.pose(planar, low, heat)) * math.pi
            outputs["confidence"] = torch.sigmoid(self.tracking(planar, low, heat))
        return outputs
