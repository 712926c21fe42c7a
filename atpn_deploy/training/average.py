"""A moving average of the weights: what a decaying learning rate does, without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class AveragedWeights:
    """An exponential average of parameters, young averages forgetting faster.

    At step t the average keeps min(decay, (1 + t) / (10 + t)) of itself.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.tensors = [p.detach().clone() for p in parameters]
        self._decay = decay

    def update(self, parameters: Sequence[Tensor], step: int) -> None:
        """Take the parameters after `step` in."""
        keep = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.tensors, [p.detach() for p in parameters], 1 - keep)

    def copy_to(self, parameters: Sequence[Tensor]) -> None:
        """Put the average in the parameters' place."""
        with torch.no_grad():
            for parameter, average in zip(parameters, self.tensors, strict=True):
                parameter.copy_(average)
