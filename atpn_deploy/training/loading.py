"""Batches drawn ahead by processes of their own, in the order of the steps that will use them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from atpn_deploy.datasets.augment import Batch, Sampler
from atpn_deploy.errors import DatasetError
from atpn_deploy.training.processes import Process
from atpn_deploy.training.stages import Stage

#: What Python calls for an exception that nobody catches.
ExceptHook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


@dataclass(frozen=True)
class Drawn:
    """A batch on its way between processes: tensors travel through shared memory, uncopied."""

    tensors: tuple[Tensor, ...]  # image, points, weights, pose, is_face
    names: tuple[str, ...]
    unreadable: dict[str, str]  # as the drawing process knows them by now
    error: str = ""  # why drawing had to stop

    def batch(self) -> Batch:
        """As it was drawn."""
        image, points, weights, pose, is_face = (tensor.numpy() for tensor in self.tensors)
        return Batch(image, points, weights, pose, is_face, self.names)


class Steps(Dataset[Drawn]):
    """Item `step` is what one process trains on in that step."""

    def __init__(self, stage: Stage, sampler: Sampler, process: Process) -> None:
        self.stage = stage
        self.sampler = sampler
        self.process = process

    def __getitem__(self, step: int) -> Drawn:
        """Draw a batch; an error is carried over, for one raised in a loader loses its message."""
        try:
            batch = draw(self.stage, self.sampler, step, self.stage.batch_size, self.process)
        except DatasetError as error:
            return Drawn((), (), dict(self.sampler.unreadable), str(error))
        arrays = (batch.image, batch.points, batch.weights, batch.pose, batch.is_face)
        tensors = tuple(torch.from_numpy(array) for array in arrays)
        return Drawn(tensors, batch.names, dict(self.sampler.unreadable))


def draw(stage: Stage, sampler: Sampler, step: int, size: int, process: Process) -> Batch:
    """The crops of one step, or of them the share of one process."""
    return sampler.batch(
        step,
        size,
        negative_share=stage.negative_share,
        posed=stage.number == 3,
        part=(process.rank, process.world),
    )


def coming_batches(
    stage: Stage, sampler: Sampler, process: Process, first: int, loaders: int
) -> Generator[Batch]:
    """The batches of steps `first` to the last, drawn ahead by so many processes.

    With 0 of them each batch is drawn when it is asked for. Which batch a step gets depends
    neither on their number nor on `first`. Every loader decodes and keeps images for itself.
    Raises DatasetError where too many images can't be read.
    """
    loader = DataLoader(
        Steps(stage, sampler, process),
        batch_size=None,
        sampler=range(first, stage.steps),
        num_workers=loaders,
        worker_init_fn=_begin_loader,
        prefetch_factor=4 if loaders else None,
        # A fork shares the faces that are read already; elsewhere it isn't safe or isn't there.
        multiprocessing_context="fork" if loaders and sys.platform == "linux" else None,
    )
    for drawn in loader:
        sampler.remember(drawn.unreadable)
        if drawn.error:
            raise DatasetError(drawn.error)
        yield drawn.batch()


def _begin_loader(worker: int) -> None:
    """OpenCV's threads don't survive a fork, and the loaders are parallel already."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    sys.excepthook = _silent_when_nobody_takes(sys.excepthook)


def _silent_when_nobody_takes(report: ExceptHook) -> ExceptHook:
    """`report`, but for a pipe whose other end is gone.

    A run that is interrupted while it takes a batch leaves its loader with half a handshake. The
    thread of multiprocessing that hands tensors over reports that as an uncaught exception; the
    run has ended on purpose, and a trace of it would bury the one line that says so.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, (ConnectionError, EOFError)):
            report(kind, error, trace)

    return hook
