"""Which measurements a folder of data allows, and one evaluation of several networks over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.results import (
    AlignmentResult,
    Evaluation,
    PoseResult,
    TrackingResult,
    VideoResult,
)
from atpn_deploy.evaluation.views import Advance, ignore

Result = AlignmentResult | PoseResult | TrackingResult | VideoResult

#: Networks and a listener for progress to one result a network, in their order.
Measure = Callable[[Sequence[Network], Advance], Sequence[Result]]

#: What can be measured, in the order of the report.
TASKS = ("alignment", "pose", "tracking", "video")
#: What of it needs no more than landmarks.
LANDMARK_TASKS = ("alignment",)


@dataclass(frozen=True)
class Trial:
    """One data set, measured for one task."""

    task: str  # of TASKS
    dataset: str  # its name in tables and records
    size: int  # faces and backgrounds, or frames: what is looked at
    measure: Measure


class Listener(Protocol):
    """Told how far an evaluation is."""

    def trial(self, trial: Trial) -> AbstractContextManager[Advance]:
        """A trial begins; what is entered is told of each face or frame that is done."""


class Silent:
    """Shows nothing."""

    def trial(self, trial: Trial) -> AbstractContextManager[Advance]:
        """Ignore the trial."""
        return nullcontext(ignore)


def able(network: Network, task: str) -> bool:
    """Whether a network computes what a task measures; an `align` file has landmarks alone."""
    return task in LANDMARK_TASKS or (network.estimates_pose and network.tells_faces)


def run_trials(
    networks: Sequence[Network], trials: Sequence[Trial], listener: Listener | None = None
) -> list[Evaluation]:
    """One evaluation a network, in their order; what a network can't do is left out of its own.

    Raises DatasetError where nothing is left to measure.
    """
    teller = listener or Silent()
    evaluations = [Evaluation(n.name, n.runtime, n.sha256) for n in networks]
    if not any(able(network, trial.task) for network in networks for trial in trials):
        raise DatasetError(
            "there is nothing to measure: files that compute only landmarks need faces with points "
            "(the task `alignment`)"
        )
    for trial in trials:
        chosen = [i for i, network in enumerate(networks) if able(network, trial.task)]
        if not chosen:
            continue
        with teller.trial(trial) as advance:
            results = trial.measure([networks[i] for i in chosen], advance)
        for i, result in zip(chosen, results, strict=True):
            evaluations[i] = _with(evaluations[i], result)
    return evaluations


def _with(evaluation: Evaluation, result: Result) -> Evaluation:
    """The evaluation with one result more."""
    match result:
        case AlignmentResult():
            return replace(evaluation, alignment=(*evaluation.alignment, result))
        case PoseResult():
            return replace(evaluation, pose=(*evaluation.pose, result))
        case TrackingResult():
            return replace(evaluation, tracking=(*evaluation.tracking, result))
        case VideoResult():
            return replace(evaluation, video=(*evaluation.video, result))
