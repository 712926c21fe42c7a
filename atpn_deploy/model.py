"""ATPN: one backbone, three tasks (landmarks, face confidence, head pose)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from atpn_deploy.blocks import (
    ConvNormAct,
    CoordConv,
    CoordDepthwiseHead,
    DeconvNorm,
    Multiview,
    stage,
)
from atpn_deploy.config import ATPNConfig
from atpn_deploy.heatmap import LandmarkHeatmap
from atpn_deploy.mean_shape import mean_shape


class LowLevel(nn.Sequential):
    """Image to the 24 x 28 x 28 features that all three tasks share."""

    def __init__(self, config: ATPNConfig) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, config.stem_width, 3, stride=2, act=config.activation)
        self.low = stage(config.stem_width, config.low)


class HighLevel(nn.Module):
    """The rest of the backbone: 28x28 to 14x14 to 7x7."""

    def __init__(self, config: ATPNConfig) -> None:
        super().__init__()
        self.mid = stage(config.low[-1].out, config.mid)
        self.high = stage(config.mid[-1].out, config.high)

    def forward(self, low: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 24, 28, 28) to (B, 40, 14, 14) and (B, 96, 7, 7)."""
        mid = self.mid(low)
        return mid, self.high(mid)


class Neck(nn.Module):
    """A feature pyramid: 1x1 to one width, coarse levels doubled by 2x2 deconvolution and added."""

    def __init__(self, widths: tuple[int, int, int], out: int) -> None:
        super().__init__()
        low, mid, high = widths
        self.low = ConvNormAct(low, out, 1)
        self.mid = ConvNormAct(mid, out, 1)
        self.high = ConvNormAct(high, out, 1)
        self.up_mid = DeconvNorm(out)
        self.up_low = DeconvNorm(out)

    def forward(self, low: Tensor, mid: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Three levels in, three levels of `out` channels out."""
        top = self.high(high)
        middle = self.mid(mid) + self.up_mid(top)
        bottom = self.low(low) + self.up_low(middle)
        return bottom, middle, top


class AlignmentBranch(nn.Module):
    """Figure 2(b): landmarks as residual to the mean shape S0, from one or three levels."""

    s0: Tensor

    def __init__(self, config: ATPNConfig) -> None:
        super().__init__()
        self.levels = ((28, 4), (14, 2), (7, 1)) if config.low_level_features else ((7, 1),)
        widths = (config.low[-1].out, config.mid[-1].out, config.high[-1].out)
        width = config.neck_width
        self.neck = Neck(widths, width) if config.low_level_features else ConvNormAct(96, width, 1)
        self.multiview = nn.ModuleList(
            Multiview(width, config.activation) if config.multiview else nn.Identity()
            for _ in self.levels
        )
        self.coord = nn.ModuleList(
            CoordConv(
                width,
                config.coord_width,
                side=side,
                stride=stride,
                act=config.activation,
                coords=config.coord_conv,
            )
            for side, stride in self.levels
        )
        self.head = CoordDepthwiseHead(
            config.coord_width * len(self.levels),
            2 * config.landmark_count,
            side=7,
            coords=config.coord_conv,
        )
        self.register_buffer("s0", mean_shape(config.landmark_count))

    def forward(self, low: Tensor, mid: Tensor, high: Tensor) -> Tensor:
        """Backbone features to (B, N, 2) landmarks, fractions of the crop side."""
        levels = self.neck(low, mid, high) if len(self.levels) == 3 else (self.neck(high),)
        views = [
            coord(multiview(level))
            for level, multiview, coord in zip(levels, self.multiview, self.coord, strict=True)
        ]
        residual: Tensor = self.head(torch.cat(views, 1))  # (B, 2 N)
        return self.s0 + residual.view(residual.shape[0], -1, 2)


class TaskBranch(nn.Module):
    """Figure 2(c) and (d): inverted residuals, a 7x7 depthwise head, a linear layer.

    Without feature sharing the branch has a stem and low stage of its own and reads the image.
    """

    def __init__(self, config: ATPNConfig, outputs: int) -> None:
        super().__init__()
        self.own_low = None if config.feature_sharing else LowLevel(config)
        self.rows = stage(config.low[-1].out, config.branch)
        self.head = CoordDepthwiseHead(config.branch[-1].out, outputs, side=7, coords=False)

    def forward(self, image: Tensor, low: Tensor, heat: Tensor | None) -> Tensor:
        """Shared low-level features, gated by the heat map (equation 2), to (B, outputs)."""
        features = low if self.own_low is None else self.own_low(image)
        if heat is not None:
            features = features * heat
        y: Tensor = self.head(self.rows(features))
        return y


class ATPN(nn.Module):
    """The reference network.

    Takes (B, 112, 112, 3) RGB in 0..255, as the contract says, so that no caller normalises.
    """

    def __init__(self, config: ATPNConfig) -> None:
        super().__init__()
        self.config = config
        self.low = LowLevel(config)
        self.high = HighLevel(config)
        self.alignment = AlignmentBranch(config)
        self.heatmap = LandmarkHeatmap(config.heatmap_floor) if config.heatmap else None
        self.tracking = TaskBranch(config, 2)
        self.pose = TaskBranch(config, 3)

    def planar(self, image: Tensor) -> Tensor:
        """(B, 112, 112, 3) in 0..255 to (B, 3, 112, 112) in 0..1.

        Scaled to 0..1 and not to -1..1: then the zeros that pad the stem are black pixels, and
        the scale folds into the stem's weights exactly, borders included.
        """
        return image.permute(0, 3, 1, 2) * (1 / 255)

    def align(self, planar: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised image to landmarks (B, N, 2) and low-level features (B, 24, 28, 28)."""
        low = self.low(planar)
        return self.alignment(low, *self.high(low)), low

    def heat(self, landmarks: Tensor) -> Tensor | None:
        """The heat map of these landmarks, or None in the ablation without it."""
        return None if self.heatmap is None else self.heatmap(landmarks)

    def pose_angles(self, raw: Tensor) -> Tensor:
        """(B, 3) of the pose branch to radians in [-pi, pi]: tanh(x) pi (section 3.2)."""
        return torch.tanh(raw) * math.pi

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 112, 112, 3) to landmarks (B, N, 2), pose (B, 3) and confidence (B, 1)."""
        planar = self.planar(image)
        landmarks, low = self.align(planar)
        heat = self.heat(landmarks)
        pose = self.pose_angles(self.pose(planar, low, heat))
        confidence = self.tracking(planar, low, heat).softmax(-1)[:, 1:]
        return {"landmarks": landmarks, "pose": pose, "confidence": confidence}
