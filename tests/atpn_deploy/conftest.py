"""Tiny data sets in the official layouts, and tiny faces to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.datasets.augment import Sampler
    from atpn_deploy.datasets.faces import Image
    from atpn_deploy.model import ATPN

#: Writes a photograph with a white dot: path, (width, height), the dot's (column, row).
WritePhoto = Callable[..., Path]

#: `line_of_points(count, corner, extent)` gives (count, 2) points that fill a square.
SpreadPoints = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="session")
def own_file(own_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`own_weights` as an .onnx file: landmarks a tenth of a pixel away, across and down."""
    from atpn_deploy.weights import open_checkpoint
    from atpn_exporters.pipeline import export
    from atpn_exporters.planning import ExportPlan
    from atpn_exporters.progress import Silent
    from atpn_exporters.registry import select

    folder = tmp_path_factory.mktemp("own")
    plan = ExportPlan(open_checkpoint(own_weights), select("onnx", "fp32"), folder)
    return export(plan, Silent()).reports[0].path


@pytest.fixture
def write_photo() -> WritePhoto:
    """`write_photo(path, size=(W, H), dot=(column, row))`: dark, with one white 8x8 block.

    The block's edge-based centre is (column + 4, row + 4).
    """

    import cv2

    def write(path: Path, size: tuple[int, int] = (200, 160), dot: tuple[int, int] = (80, 60)):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        image[dot[1] : dot[1] + 8, dot[0] : dot[0] + 8] = 255
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)
        return path

    return write


@pytest.fixture
def spread_points() -> SpreadPoints:
    """`spread_points(count, left, top, side)`: points whose box is exactly that square."""

    def spread(count: int, left: float, top: float, side: float) -> NDArray[np.float64]:
        rng = np.random.default_rng(count)
        points = rng.uniform(0, 1, (count, 2))
        points[0], points[1] = (0, 0), (1, 1)
        return points * side + (left, top)

    return spread


@pytest.fixture
def dot_centre() -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """`dot_centre(image)`: the centre of gravity of what is bright, (x, y), edge based."""

    def centre(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        bright = image[..., 0].astype(float)
        bright[bright < 20] = 0  # the ringing of JPEG
        rows, columns = np.indices(bright.shape) + 0.5
        return np.array(((bright * columns).sum(), (bright * rows).sum())) / bright.sum()

    return centre


@pytest.fixture
def make_network() -> Callable[..., ATPN]:
    """`make_network(config)`: random weights of one seed, laid out as training lays them out."""
    from atpn_deploy.config import ATPN_LITE_CONFIG
    from atpn_deploy.training.session import initial_network

    def make(config: ATPNConfig = ATPN_LITE_CONFIG) -> ATPN:
        return initial_network(config, None, 1)

    return make


@pytest.fixture
def make_sampler() -> Callable[..., Sampler]:
    """`make_sampler(count)`: faces named a, b, c, ... of noise, with the mean shape's points.

    `images` and `negatives` replace the noise, `nan` names a face whose points are NaN.
    """
    from atpn_deploy.datasets.augment import Augmentation, Sampler
    from atpn_deploy.datasets.faces import FaceSet, boxes_of
    from atpn_deploy.mean_shape import mean_shape

    def make(
        count: int = 3,
        images: Sequence[Image] | None = None,
        negatives: Sequence[Image] | None = None,
        nan: str = "",
        seed: int = 3,
    ) -> Sampler:
        rng = np.random.default_rng(2)
        noise = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(count)]
        dark = [rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(2)]
        points = np.repeat((mean_shape(98).numpy() * 75 + 37)[None], count, 0).astype(np.float32)
        weights = np.ones((count, 98), np.float32)
        pose = rng.normal(0, 0.3, (count, 3)).astype(np.float32)
        names = tuple("abcdefghijklmnopqrstuvwxyz"[:count])
        boxes = boxes_of(points, weights)
        points[[name == nan for name in names]] = np.nan
        faces = FaceSet(images or noise, boxes, points, weights, pose, names)
        return Sampler(faces, negatives or dark, Augmentation(), seed=seed)

    return make
