"""Several training processes, as `torchrun` starts them, and which device each one uses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from atpn_deploy.errors import TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """This process among those that train together; rank 0 writes and speaks."""

    rank: int = 0
    world: int = 1

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)  # a sum: gloo knows no mean
        flat /= self.world
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather(self, value: T) -> list[T]:
        """The value of every process, in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[T] = [value] * self.world
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def training_process(device: torch.device) -> Iterator[Process]:
    """Join the processes that torchrun started; alone, there is nothing to join."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Process()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where NCCL puts what it gathers
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def device_named(name: str) -> torch.device:
    """`cpu`, `cuda` (under torchrun each process its own) or `auto`: cuda where there is one."""
    if name not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"no device is called {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("this machine offers PyTorch no CUDA device; use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
