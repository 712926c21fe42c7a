"""Waiting until a device is cool: a hot one is slower than what one wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable

from atpn_benchmarks.devices.device import Device
from atpn_benchmarks.guest.facts import celsius, hottest

#: Seconds between two looks.
_PAUSE_S = 2.0

#: Every zone and sensor: its kind and what it tells, a line each.
_SENSORS = (
    "for zone in /sys/class/thermal/thermal_zone*; do "
    'echo "$(cat $zone/type 2>/dev/null) $(cat $zone/temp 2>/dev/null)"; done; '
    "for sensor in /sys/class/hwmon/hwmon*/temp*_input; do "
    'echo "$(cat ${sensor%/*}/name 2>/dev/null) $(cat $sensor 2>/dev/null)"; done'
)


def temperature_c(device: Device) -> float | None:
    """The hottest sensor near the device's cores; None where none tells anything."""
    sensors: dict[str, float] = {}
    for line in device.ask(_SENSORS).splitlines():
        kind, _, told = line.rpartition(" ")
        if (value := celsius(told)) is not None:
            sensors[kind] = max(value, sensors.get(kind, value))
    return hottest(sensors)


def cool_down(
    device: Device,
    below_c: float,
    at_most_s: float,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float | None:
    """Wait until the device is below a temperature, or so long; the temperature at the end.

    `say` gets a line for the progress at every look. Where no sensor tells anything, it returns
    None at once.
    """
    until = clock() + at_most_s
    while True:
        now_c = temperature_c(device)
        left_s = until - clock()
        if now_c is None or now_c < below_c:
            return now_c
        if left_s <= 0:
            say(f"{device.name} is at {now_c:.0f} °C still, {below_c:.0f} °C were asked for")
            return now_c
        say(
            f"{device.name} cools down: {now_c:.0f} °C, waits for {below_c:.0f} °C, "
            f"{left_s:.0f} s at most"
        )
        sleep(min(_PAUSE_S, left_s))
