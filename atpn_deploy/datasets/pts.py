"""The .pts files of 300W and 300VW: 68 points, counted from 1 as MATLAB counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.labels import numbers, read_lines
from atpn_deploy.errors import DatasetError

#: MATLAB's first pixel has its centre at 1, the edge-based one at 0.5.
MATLAB_TO_EDGE = -0.5

COUNT = 68


def write_pts(points: NDArray[np.floating], path: Path) -> None:
    """Write (68, 2) pixels, edge based, as 300W and 300VW do; OSError where that can't be done."""
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in points.astype(np.float64) - MATLAB_TO_EDGE)
    path.write_text(f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n", encoding="ascii")


def read_pts(path: Path) -> NDArray[np.float32]:
    """(68, 2) pixels, edge based; NaN where the file has NaN. DatasetError with file and line."""
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), 1)]
    lines = [(number, line) for number, line in lines if line]
    stated = [line for _, line in lines if line.startswith("n_points")]
    if not stated or stated[0].split(":")[-1].strip() != str(COUNT):
        came = f"{stated[0]!r} came" if stated else "no n_points came"
        raise DatasetError(f"{path}: {came}, 'n_points: {COUNT}' was expected")
    texts = [line for _, line in lines]
    if "{" not in texts or texts[-1] != "}":
        raise DatasetError(f"{path}: expected its points between a line {{ and a last line }}")
    rows = lines[texts.index("{") + 1 : -1]
    if len(rows) != COUNT:
        raise DatasetError(f"{path}: {len(rows)} points came, {COUNT} were expected")
    points = [numbers(line.split(), 2, f"{path}:{number}") for number, line in rows]
    return (np.array(points) + MATLAB_TO_EDGE).astype(np.float32)
