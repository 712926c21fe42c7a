"""Waiting until a device is cool, with a clock of the test's own."""

from __future__ import annotations

from atpn_benchmarks.devices.cooling import cool_down, temperature_c
from atpn_benchmarks.devices.local_device import LocalWire
from atpn_benchmarks.devices.posix_device import Habits, PosixDevice


class Board:
    """Answers with the next temperature at each look."""

    name = "ssh:board"

    def __init__(self, *celsius: float) -> None:
        self._celsius = list(celsius)

    def ask(self, script: str) -> str:
        value = self._celsius.pop(0)
        return f"gpu-thermal 99000\ncpu-thermal {value * 1000:.0f}\nbattery \n 5"


def cooled(board: Board, below_c: float, at_most_s: float) -> tuple[float | None, list[str]]:
    now, said = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    end = cool_down(board, below_c, at_most_s, said.append, clock=lambda: now[0], sleep=sleep)
    return end, said


def test_it_waits_until_the_limit() -> None:
    end, said = cooled(Board(70, 61, 54), 55, 60)
    assert end == 54
    assert said == [
        "ssh:board cools down: 70 °C, waits for 55 °C, 60 s at most",
        "ssh:board cools down: 61 °C, waits for 55 °C, 58 s at most",
    ]


def test_it_waits_no_longer_than_that() -> None:
    end, said = cooled(Board(70, 69, 68, 67), 55, 5)
    assert end == 67
    assert said[-1] == "ssh:board is at 67 °C still, 55 °C were asked for"


def test_a_cool_one_is_not_waited_for() -> None:
    assert cooled(Board(40), 55, 60) == (40, [])


def test_a_device_without_sensors_is_not_waited_for() -> None:
    class Mute(Board):
        def ask(self, script: str) -> str:
            return "thermal_zone* \n"

    assert cooled(Mute(), 55, 60) == (None, [])


def test_this_machine_can_be_asked() -> None:
    with PosixDevice("local", LocalWire(), Habits(())) as device:
        celsius = temperature_c(device)
    assert celsius is None or 0 < celsius < 150
