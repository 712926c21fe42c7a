"""The mean shape S0 that the alignment branch starts from (paper, section 3.1)."""

from __future__ import annotations

import json
from importlib import resources

import torch
from torch import Tensor


def mean_shape(landmark_count: int) -> Tensor:
    """(N, 2) fractions of the crop side, the mean WFLW face as the crop contract frames it.

    N is 98 or 68. The figures are statistics of the WFLW annotations; `mean_shape.json` says how
    they were made and holds the mirror map beside them.
    """
    return torch.tensor(_read(landmark_count)["points"], dtype=torch.float32)


def mirror_map(landmark_count: int) -> list[int]:
    """For each point the index of its mirror twin: flipped points are `points[mirror]`."""
    mirror: list[int] = _read(landmark_count)["mirror"]
    return mirror


def _read(landmark_count: int) -> dict[str, list[int]]:
    text = resources.files("atpn_deploy").joinpath("mean_shape.json").read_text()
    shape: dict[str, list[int]] = json.loads(text)[str(landmark_count)]
    return shape
