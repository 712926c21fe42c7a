"""Several devices at once: each its own thread, each its own result or error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from atpn_benchmarks.devices.device import Device, DeviceError
from atpn_deploy.errors import AtpnError

Result = TypeVar("Result")


def run_all(
    devices: Sequence[Device], job: Callable[[Device], Result]
) -> dict[str, Result | AtpnError]:
    """Open every device, run `job` on all of them at once, and close them; by device name.

    An AtpnError of one is its result and leaves the others as they are. Ctrl-C stops all of them,
    waits until each has cleaned up (which takes bounded time), and goes on as KeyboardInterrupt.
    Raises DeviceError if a device is given twice: two runs would disturb each other.
    """
    names = [device.name for device in devices]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DeviceError(f"{', '.join(twice)} is given twice: a device runs one job at a time")
    if not devices:
        return {}

    def run(device: Device) -> Result | AtpnError:
        try:
            with device as opened:
                return job(opened)
        except AtpnError as error:
            return error

    with ThreadPoolExecutor(len(devices)) as pool:
        futures: list[Future[Result | AtpnError]] = [pool.submit(run, device) for device in devices]
        try:
            wait(futures)
        except BaseException:
            for device in devices:
                device.stop()
            raise
    return dict(zip(names, (future.result() for future in futures), strict=True))
