"""A tracking run without model, detector and decoder: what stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.video.source import Frame, Source
from atpn_exporters.following.request import TrackRequest, TrackSummary
from atpn_exporters.following.run import follow

SIZE = (64, 48)  # width, height


class StubSession:
    """A file that sees the same face, which fills two thirds of the crop, in every crop."""

    output_names: tuple[str, ...] = ("landmarks", "pose", "confidence")
    runtime = "stub 1.0"
    kernel_family = "stub"
    steps: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, confidence: Callable[[int], float] = lambda run: 0.9) -> None:
        self.runs = 0
        self._confidence = confidence

    def __enter__(self) -> StubSession:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def repeat(self) -> None: ...

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.runs += 1
        turn = np.linspace(0, 2 * np.pi, 98, endpoint=False)
        landmarks = 0.5 + np.stack((np.cos(turn), np.sin(turn)), -1) / 3
        return {
            "landmarks": landmarks[None].astype(np.float32),
            "pose": np.radians([[10, -20, 30]]).astype(np.float32),
            "confidence": np.array([[self._confidence(self.runs)]], np.float32),
        }


class OneProposal:
    """A detector that is asked and always says the same."""

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes or (Box(8, 2, 44),)

    def propose(self, image: np.ndarray) -> list[Box]:
        return list(self.boxes)


class Clip:
    """A source of `count` grey frames at 25 fps, of which the first has `size`."""

    name = "clip"
    fps = 25.0
    damaged = 0

    def __init__(self, count: int, *, problem: str = "", error: Exception | None = None) -> None:
        self.frames_expected = count
        self.size = SIZE
        self.problem = ""
        self._count, self._problem, self._error = count, problem, error
        self.given = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            self.given += 1
            yield Frame(index, index / self.fps, np.full((*SIZE[::-1], 3), index % 200, np.uint8))
        self.problem = self._problem
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        return None


@pytest.fixture
def clip() -> type[Clip]:
    return Clip


@pytest.fixture
def stub_session() -> type[StubSession]:
    return StubSession


@pytest.fixture
def proposal() -> type[OneProposal]:
    return OneProposal


@pytest.fixture
def track() -> Callable[..., TrackSummary]:
    """`follow` on the stubs, of which any may be given."""

    def tracked(
        request: TrackRequest,
        source: Source | None = None,
        session: StubSession | None = None,
        detector: Detector | None = None,
        **options: object,
    ) -> TrackSummary:
        return follow(
            request,
            session or StubSession(),
            detector or OneProposal(),
            source or Clip(10),
            **options,  # type: ignore[arg-type]
        )

    return tracked


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., TrackRequest]:
    """`request_of(records=("a.csv",), output="b.mp4", every=2)` writes into the test's folder."""
    model = tmp_path / "model.tflite"
    model.write_bytes(b"model")

    def build(
        *,
        input: str = "clip.mp4",
        records: tuple[str, ...] = (),
        output: str = "",
        **options: object,
    ) -> TrackRequest:
        return TrackRequest(
            input=input,
            model=model,
            records=tuple(tmp_path / name for name in records),
            output=tmp_path / output if output else None,
            **options,  # type: ignore[arg-type]
        )

    return build
