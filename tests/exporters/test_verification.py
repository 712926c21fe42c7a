from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import Tensors
from atpn_deploy.errors import ArtifactError
from atpn_deploy.golden import Golden, KernelGolden
from atpn_deploy.parity import Limit
from atpn_exporters.verification import verify

LIMITS = (
    Limit("landmarks", "max", 0.5, "px", "test"),
    Limit("pose", "max", 1.0, "degree", "test"),
    Limit("confidence", "max", 0.1, "probability", "test"),
)
IMAGES = np.stack([np.full((112, 112, 3), value, np.uint8) for value in (0, 100, 200)])


def outputs_of(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    level = images.mean((1, 2, 3), dtype=np.float32)[:, None] / 255
    return {
        "landmarks": np.repeat(level, 196, 1).reshape(-1, 98, 2),
        "pose": np.repeat(level, 3, 1),
        "confidence": level,
    }


class FakeSession(Closing):
    """A session whose outputs are the image's mean, plus an offset, in steps if quantised."""

    runtime = "fake 1"
    kernel_family = "fake"
    output_names = ("landmarks", "pose", "confidence")

    def __init__(self, offset: float = 0.0, constant: bool = False) -> None:
        self.offset, self.constant = offset, constant
        self.steps: dict[str, float] = {}

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        image = np.zeros_like(feeds["image"]) if self.constant else feeds["image"]
        return {name: a + np.float32(self.offset) for name, a in outputs_of(image).items()}

    def close(self) -> None:
        """There is nothing to let go of."""


def golden() -> Golden:
    return Golden(("a", "b", "c"), IMAGES, np.array([True, True, False]), outputs_of(IMAGES))


def test_equal_file_is_ok() -> None:
    found = verify(FakeSession(), golden(), LIMITS)
    assert found.ok
    assert found.complaint == ""
    assert len(found.rows) == 3


@pytest.mark.parametrize("offset", [0.2, np.nan, np.inf])
def test_file_that_is_off_is_not_ok_and_says_so(offset: float) -> None:
    found = verify(FakeSession(offset), golden(), LIMITS)
    assert not found.ok
    assert "landmarks is off by" in found.complaint


def test_file_that_always_says_the_same_is_not_ok() -> None:
    silent = FakeSession(constant=True)
    found = verify(
        silent, golden(), tuple(Limit(x.output, "mean", 1e9, x.unit, "") for x in LIMITS)
    )
    assert not found.ok
    assert "do not vary" in found.complaint


def test_integer_outputs_must_meet_the_kernel_golden_bit_by_bit() -> None:
    session = FakeSession(offset=0.004)
    session.steps = {name: 1 / 256 for name in session.output_names}
    recorded = KernelGolden("sha", outputs_of(IMAGES))
    found = verify(session, golden(), LIMITS, recorded)
    assert [row.unit for row in found.kernel_rows] == ["step"] * 3
    assert {row.error for row in found.kernel_rows} == {1.0}
    assert not found.ok


def test_kernel_golden_of_the_same_values_is_met() -> None:
    session = FakeSession()
    session.steps = {name: 1 / 256 for name in session.output_names}
    assert verify(session, golden(), LIMITS, KernelGolden("sha", outputs_of(IMAGES))).ok


def test_missing_output_is_named() -> None:
    session = FakeSession()
    session.output_names = ("landmarks",)  # type: ignore[assignment]
    with pytest.raises(ArtifactError, match="computes landmarks; signature 'full' is landmarks, "):
        verify(session, golden(), LIMITS)
