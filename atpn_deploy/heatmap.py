"""The heat map of equation 1: how near each cell of the 28x28 grid is to a landmark."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: The low-level features have this many cells a side.
HEATMAP_SIDE = 28


class LandmarkHeatmap(nn.Module):
    """H(x, y) = 1 / sqrt(1 + min_i |(x, y) - (x_i, y_i)|), not below `floor` (equation 1).

    Distances are in cells of the 28x28 grid, cell (c, r) lies at (c + 0.5, r + 0.5). They are
    computed in fractions of the crop and scaled after the root, so that half precision cannot
    overflow; squares of x and y are summed by broadcast, 28 + 28 of them a landmark, not 784.
    """

    cells: Tensor

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor
        cells = (torch.arange(HEATMAP_SIDE) + 0.5) / HEATMAP_SIDE
        self.register_buffer("cells", cells[:, None], persistent=False)  # (28, 1)

    def forward(self, landmarks: Tensor) -> Tensor:
        """(B, N, 2) fractions of the crop to (B, 1, 28, 28) in [floor, 1]."""
        x, y = landmarks[:, None, :, 0], landmarks[:, None, :, 1]  # (B, 1, N)
        dx2 = (self.cells - x).square()  # (B, 28, N)
        dy2 = (self.cells - y).square()  # (B, 28, N)
        squared = (dy2[:, :, None] + dx2[:, None]).amin(-1)  # (B, 28 rows, 28 columns)
        heat = (1 + HEATMAP_SIDE * squared.sqrt()).rsqrt().clamp_min(self.floor)
        return heat[:, None]
