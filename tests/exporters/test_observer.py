from __future__ import annotations

import pytest

from atpn_exporters.observer import RangeObserver


def observed(crops: int) -> tuple[float, float]:
    """Crop i reaches from -i to 2 i."""
    observer = RangeObserver(["conv"])
    for crop in range(crops):
        observer.add([-crop], [2 * crop])
    return observer.ranges()["conv"]


def test_few_crops_give_their_minimum_and_maximum() -> None:
    assert observed(99) == (-98, 196)


@pytest.mark.parametrize(("crops", "left_out"), [(100, 1), (576, 5)])
def test_of_many_crops_one_percent_is_left_out_at_each_end(crops: int, left_out: int) -> None:
    last = crops - 1 - left_out
    assert observed(crops) == (-last, 2 * last)
