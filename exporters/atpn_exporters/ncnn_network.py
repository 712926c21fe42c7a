"""ATPN as pnnx converts it to ncnn whole: planar input, outputs in order, a clamp with two ends."""

from __future__ import annotations

from torch import Tensor, nn

from atpn_deploy.contract import SIGNATURES
from atpn_deploy.folding import FoldedATPN
from atpn_deploy.heatmap import HEATMAP_SIDE, LandmarkHeatmap
from atpn_deploy.model import ATPN


class ClampedHeatmap(nn.Module):
    """`LandmarkHeatmap` with the upper end of its clamp written out; nothing is ever above it."""

    cells: Tensor

    def __init__(self, heatmap: LandmarkHeatmap) -> None:
        super().__init__()
        self.floor = heatmap.floor
        self.register_buffer("cells", heatmap.cells.clone())  # (28, 1)

    def forward(self, landmarks: Tensor) -> Tensor:
        """(1, N, 2) fractions of the crop to (1, 1, 28, 28) in [floor, 1]."""
        x, y = landmarks[:, None, :, 0], landmarks[:, None, :, 1]  # (1, 1, N)
        dx2, dy2 = (self.cells - x).square(), (self.cells - y).square()  # (1, 28, N)
        squared = (dy2[:, :, None] + dx2[:, None]).amin(-1)  # (1, 28 rows, 28 columns)
        heat = (1 + HEATMAP_SIDE * squared.sqrt()).rsqrt().clamp(self.floor, 1.0)
        return heat[:, None]


class PlanarATPN(nn.Module):
    """The folded network on what ncnn holds an image as: channel by channel, RGB, 0..255."""

    def __init__(self, model: ATPN, signature: str) -> None:
        super().__init__()
        self.network = FoldedATPN(model, signature)
        self.names = tuple(spec.name for spec in SIGNATURES[signature])
        if isinstance(self.network.heatmap, LandmarkHeatmap):
            self.network.heatmap = ClampedHeatmap(self.network.heatmap)  # type: ignore[assignment]
        self.eval()

    def forward(self, planar: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, 112, 112) to the signature's outputs in the contract's order."""
        outputs = self.network(planar.permute(0, 2, 3, 1))
        return tuple(outputs[name] for name in self.names)
