"""`atpn-parity --video`: which reference each file belongs to, and its closed loop against that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from atpn_deploy.detectors.detector import Detector
from atpn_deploy.errors import AtpnError, MissingToolError, WeightsError
from atpn_deploy.faces import Session, require_all_tasks
from atpn_deploy.video.source import Frame
from atpn_deploy.weights import Checkpoint, open_checkpoint, predictor, shipped
from atpn_exporters.closed_loop.figures import Figures, Sample
from atpn_exporters.closed_loop.lanes import TorchSession, in_lockstep
from atpn_exporters.closed_loop.pairing import PROVEN_FRAMES, Pairing
from atpn_exporters.closed_loop.rules import Comparison, Verdict, judged
from atpn_exporters.opening import Artifact, identify, open_file
from atpn_exporters.session import SessionOptions

#: Checkpoints that come with the package, which a file's metadata can name by its hash.
SHIPPED = ("atpn-lite", "atpn")


@dataclass(frozen=True)
class LoopRequest:
    """What to hold the files against; None leaves it to the file's own metadata."""

    weights: Path | None = None
    model: str | None = None
    reference: Path | None = None  # an exported file in PyTorch's place
    target: str | None = None
    runtime: str = "auto"


@dataclass(frozen=True)
class LoopResult:
    """One file: what was found, or why it could not be compared."""

    path: Path
    runtime: str = ""
    reference: str = ""
    comparison: Comparison | None = None
    verdicts: tuple[Verdict, ...] = ()
    samples: tuple[Sample, ...] = ()  # what a plot is drawn from
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was compared and every rule holds."""
        return bool(self.verdicts) and not self.error and all(v.ok for v in self.verdicts)

    @property
    def exit_status(self) -> int:
        """0 within the limits, 1 off, 2 not compared."""
        return 2 if self.error else int(not self.ok)


@dataclass
class _Lane:
    """A file on its way through the video."""

    artifact: Artifact
    runtime: str
    place: int  # of its session
    reference: int  # place of its reference's session
    called: str  # what the reference is called
    pairing: Pairing = field(default_factory=Pairing)
    figures: Figures = field(default_factory=Figures)


def follow(
    frames: Iterable[Frame],
    files: Sequence[Path],
    request: LoopRequest,
    detector: Detector,
    advance: Callable[[int], None],
) -> list[LoopResult]:
    """One result a file, in the order of the files; frames are decoded once and forgotten.

    A file that cannot be opened gets the reason as its error, and the others still run. `advance`
    is told how many frames were passed. Raises an AtpnError where the reference of no file can be
    opened.
    """
    with ExitStack() as stack:
        opened = _Opened(request, stack)
        lanes: dict[Path, _Lane] = {}
        errors: dict[Path, str] = {}
        for path in files:
            try:
                lanes[path] = opened.lane(path)
            except AtpnError as error:
                errors[path] = str(error)
        count = _run(frames, opened.sessions, tuple(lanes.values()), detector, advance)
    return [
        LoopResult(path, error=errors[path]) if path in errors else _result(count, lanes[path])
        for path in files
    ]


def _run(
    frames: Iterable[Frame],
    sessions: Sequence[Session],
    lanes: Sequence[_Lane],
    detector: Detector,
    advance: Callable[[int], None],
) -> int:
    """Drive all lanes; how many frames there were."""
    count = 0
    if not lanes:
        return count
    for frame, seen in in_lockstep(frames, sessions, detector):
        count += 1
        for lane in lanes:
            pairs = lane.pairing.step(
                frame.index, frame.time_s, seen[lane.reference], seen[lane.place]
            )
            lane.figures.add(frame.index, frame.time_s, pairs)
        advance(1)
    for lane in lanes:
        lane.pairing.finish()
    return count


def _result(count: int, lane: _Lane) -> LoopResult:
    path = lane.artifact.path
    comparison = Comparison.of(count, lane.pairing, lane.figures)
    verdicts = judged(comparison, lane.artifact.target.limits)
    samples = tuple(lane.figures.samples)
    error = ""
    if not samples and all(verdict.ok for verdict in verdicts):
        error = (
            f"nothing was compared: {lane.called} follows no face for {PROVEN_FRAMES} frames of "
            f"the {count}; give a video with a face"
        )
    return LoopResult(path, lane.runtime, lane.called, comparison, verdicts, samples, error)


class _Opened:
    """Sessions of files and of their references, each opened once."""

    def __init__(self, request: LoopRequest, stack: ExitStack) -> None:
        self.sessions: list[Session] = []
        self._request = request
        self._stack = stack
        self._references: dict[str, tuple[int, str]] = {}  # by checkpoint or file: place, name

    def lane(self, path: Path) -> _Lane:
        """Open a file and, if it is the first of its checkpoint, the reference."""
        artifact = identify(path, self._request.target)
        reference, called = self._reference_of(artifact)
        place, runtime = self._open(path)
        return _Lane(artifact, runtime, place, reference, called)

    def _open(self, path: Path) -> tuple[int, str]:
        options = SessionOptions(runtime=self._request.runtime)
        session = self._stack.enter_context(open_file(path, options))
        return self._add(session), session.runtime

    def _add(self, session: Session) -> int:
        require_all_tasks(session)
        self.sessions.append(session)
        return len(self.sessions) - 1

    def _reference_of(self, artifact: Artifact) -> tuple[int, str]:
        """Place and name of the reference's session."""
        chosen = self._request.reference
        key = str(chosen) if chosen is not None else artifact.checkpoint_sha256
        if key not in self._references:
            if chosen is not None:
                place, runtime = self._open(chosen)
                self._references[key] = place, f"{chosen.name} on {runtime}"
            else:
                checkpoint = checkpoint_of(artifact, self._request)
                session = _torch_session(checkpoint)
                self._references[key] = self._add(session), f"{checkpoint.path.name} in PyTorch"
        return self._references[key]


def checkpoint_of(artifact: Artifact, request: LoopRequest) -> Checkpoint:
    """The checkpoint that was asked for, else the shipped one that the file was made from.

    Raises WeightsError where the file says nothing or names one that is not shipped.
    """
    if request.weights is not None:
        return open_checkpoint(request.weights)
    if request.model is not None:
        return shipped(request.model)
    for name in SHIPPED:
        checkpoint = shipped(name)
        if checkpoint.sha256 == artifact.checkpoint_sha256:
            return checkpoint
    made = artifact.checkpoint_sha256
    came = (
        f"was made from checkpoint {made[:12]}..." if made else "does not say what it was made of"
    )
    raise WeightsError(
        f"{artifact.path} {came}, which is not shipped; name it with --weights FILE, or give "
        "another exported file as --reference FILE"
    )


def _torch_session(checkpoint: Checkpoint) -> TorchSession:
    try:
        import torch
    except ImportError as error:
        raise MissingToolError(
            "the float reference needs PyTorch: pip install -c constraints.txt "
            "'atpn-deploy[export]'; without it give --reference FILE, a float file"
        ) from error
    torch.set_num_threads(1)
    return TorchSession(predictor(checkpoint.load()))
