"""Batches that processes draw ahead: the same ones, each process its share, errors in one line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from atpn_deploy.datasets.augment import Sampler
from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError
from atpn_deploy.training.loading import _silent_when_nobody_takes, coming_batches
from atpn_deploy.training.processes import Process
from atpn_deploy.training.stages import Stage

STAGE = Stage(1, 24, batch_size=4, settling_samples=0)

MakeSampler = Callable[..., Sampler]


class Unreadable(list[Image]):
    """Images of which some can't be read."""

    def __init__(self, count: int, bad: tuple[int, ...]) -> None:
        super().__init__(np.zeros((150, 150, 3), np.uint8) for _ in range(count))
        self.bad = bad

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if index in self.bad:
            raise DatasetError(f"image {index} is cut off")
        return super().__getitem__(index)


@pytest.mark.parametrize("first", [0, 3])
def test_loaders_draw_what_the_training_process_would(
    make_sampler: MakeSampler, first: int
) -> None:
    alone = list(coming_batches(STAGE, make_sampler(10), Process(), first, 0))
    ahead = list(coming_batches(STAGE, make_sampler(10), Process(), first, 2))
    assert len(alone) == len(ahead) == 6 - first
    for one, other in zip(alone, ahead, strict=True):
        assert one.names == other.names
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.points, other.points)
        np.testing.assert_array_equal(one.pose, other.pose)


def test_each_process_draws_its_share_alone(make_sampler: MakeSampler) -> None:
    whole = list(coming_batches(STAGE, make_sampler(10), Process(), 0, 0))
    shares = [list(coming_batches(STAGE, make_sampler(10), Process(r, 2), 0, 0)) for r in (0, 1)]
    for step, batch in enumerate(whole):
        assert shares[0][step].names == batch.names[0::2]
        assert shares[1][step].names == batch.names[1::2]


@pytest.mark.parametrize("loaders", [0, 1])
def test_what_a_loader_could_not_read_is_remembered(
    make_sampler: MakeSampler, loaders: int
) -> None:
    sampler = make_sampler(10, Unreadable(10, (2,)))
    assert len(list(coming_batches(STAGE, sampler, Process(), 0, loaders))) == 6
    assert sampler.unreadable == {"c": "image 2 is cut off"}


@pytest.mark.parametrize("loaders", [0, 1])
def test_too_many_unreadable_images_end_it_in_one_line(
    make_sampler: MakeSampler, loaders: int
) -> None:
    sampler = make_sampler(10, Unreadable(10, (1, 2, 3)))
    with pytest.raises(DatasetError, match=r"^\d of 10 faces can't be read, 1 are let pass"):
        list(coming_batches(STAGE, sampler, Process(), 0, loaders))


def test_two_loaders_that_met_one_each_have_met_too_many(make_sampler: MakeSampler) -> None:
    sampler = make_sampler(10)
    sampler.remember({"a": "cut off"})
    with pytest.raises(DatasetError, match="2 of 10 faces can't be read"):
        sampler.remember({"b": "cut off"})


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (BrokenPipeError(), False),
        (ConnectionResetError(), False),
        (EOFError(), False),
        (ValueError(), True),
        (OSError(), True),
    ],
)
def test_a_batch_that_nobody_takes_any_more_is_no_news(error: Exception, reported: bool) -> None:
    seen: list[BaseException] = []

    hook = _silent_when_nobody_takes(lambda kind, error, trace: seen.append(error))
    hook(type(error), error, None)

    assert seen == ([error] if reported else [])
