"""A photograph with one face, files of others' detectors, and networks whose answer is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.detectors.network_file import FileTensor


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    return pytest.importorskip("skimage", reason="skimage is not at hand").data.astronaut()


#: The astronaut's face as the contract frames it, read off her landmarks.
FACE = Box(154, 50, 138)


@pytest.fixture(scope="session")
def covers() -> Callable[..., bool]:
    """`covers(box, zoom, right, down)`: is it her face, scaled by zoom, then moved by pixels?"""

    def check(box: Box, zoom: float = 1, right: float = 0, down: float = 0) -> bool:
        side = zoom * FACE.side
        x, y = zoom * FACE.left + right + side / 2, zoom * FACE.top + down + side / 2
        off = np.hypot(box.left + box.side / 2 - x, box.top + box.side / 2 - y)
        return bool(off < 0.15 * side and 0.75 < box.side / side < 1.33)

    return check


@pytest.fixture(scope="session")
def peers(shared_data: Path) -> Path:
    """The folder of detectors that others have trained."""
    folder = shared_data.parent / "peers"
    if not folder.is_dir():
        pytest.skip("shared is not at hand: it has no peers")
    return folder


class WrittenNetwork:
    """A network file that always answers with the same tensors and keeps what it was given."""

    def __init__(self, inputs: tuple[FileTensor, ...], answer: Mapping[str, np.ndarray], /) -> None:
        self.inputs = inputs
        self.outputs = tuple(FileTensor(name, array.shape) for name, array in answer.items())
        self.answer = answer
        self.given = np.zeros(0, np.float32)

    def run(self, array: np.ndarray) -> Mapping[str, np.ndarray]:
        self.given = array
        return self.answer


@pytest.fixture
def written() -> type[WrittenNetwork]:
    """`written(inputs, answer)` is a network file that always answers so."""
    return WrittenNetwork
