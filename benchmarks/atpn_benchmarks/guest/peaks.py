"""What one core reaches at most: multiply-adds by small files, bytes by copying and summing.

Runs on the device with numpy and whatever runtime it has. One thread: the process has to be pinned
to a core, or told so by OPENBLAS_NUM_THREADS=1, before numpy is imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from atpn_benchmarks.guest.peer_session import open_peer
from atpn_deploy.errors import AtpnError
from atpn_exporters.session import SessionOptions

#: Seconds that one measurement may take, and the least number of its calls.
SECONDS, CALLS = 0.12, 5
#: Bytes of the second-level cache and of the largest one where the system does not tell.
USUAL_CACHE, USUAL_LAST_CACHE = 256 * 1024, 8 * 2**20
#: At most so much memory is taken.
LARGEST = 256 * 2**20
#: Where Linux tells of a core's caches.
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
#: Sides of the square matrices that numpy multiplies.
MATRICES = (128, 256, 512)

Clock = Callable[[], float]


def file_name(kind: str, label: str, macs: int, suffix: str) -> str:
    """Name of a file of one convolution: fp32 or int8, its shape, so many multiply-adds."""
    return f"peak-{kind}-{label}-{macs}{suffix}"


def measure_peaks(files: Iterable[str | Path], clock: Clock = time.perf_counter) -> dict[str, Any]:
    """The fields of `results.Peaks` by name, each the best of all that was tried.

    A file that does not open here is passed over; a field for which nothing ran is None.
    """
    fp32 = [_matrix_rate(side, clock) for side in MATRICES]
    int8: list[tuple[float, str]] = []
    for path in map(Path, files):
        _, kind, _, macs = path.stem.split("-")
        rates = {"fp32": fp32, "int8": int8}[kind]
        try:
            session = open_peer(path, SessionOptions(threads=1), {})
        except AtpnError:
            continue
        rates.append(
            (int(macs) / best_s(session.repeat, clock), f"{path.name} on {session.runtime}")
        )
    second, last = cache_bytes()
    found = {
        "fp32_macs_per_s": max(fp32, default=None),
        "int8_macs_per_s": max(int8, default=None),
        "cache_bytes_per_s": _bandwidth((second or USUAL_CACHE) // 2, clock),
        "memory_bytes_per_s": _bandwidth(min(LARGEST, 4 * (last or USUAL_LAST_CACHE)), clock),
    }
    return {
        **{name: None if best is None else best[0] for name, best in found.items()},
        "how": {name: best[1] for name, best in found.items() if best is not None},
        "last_cache_bytes": last,
    }


def best_s(step: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """The shortest of many calls: what disturbs a call only makes it longer."""
    step()
    best, calls, started = float("inf"), 0, clock()
    while calls < CALLS or clock() - started < SECONDS:
        before = clock()
        step()
        best = min(best, clock() - before)
        calls += 1
    return best


def cache_bytes(folder: Path = CACHES) -> tuple[int, int]:
    """(second-level cache, largest cache) of a core; 0 where the system does not tell."""
    sizes: dict[int, int] = {}
    for index in sorted(folder.glob("index*")):
        try:
            level = int((index / "level").read_text())
            text = (index / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if text.endswith("K") and text[:-1].isdigit():
            sizes[level] = max(sizes.get(level, 0), int(text[:-1]) * 1024)
    return sizes.get(2, 0), max(sizes.values(), default=0)


def _matrix_rate(side: int, clock: Clock) -> tuple[float, str]:
    """Multiply-adds a second of numpy's float32 product of two square matrices."""
    random = np.random.default_rng(0)
    left, right = (random.random((side, side), np.float32) for _ in range(2))
    result = np.empty_like(left)
    seconds = best_s(lambda: np.matmul(left, right, out=result), clock)
    return side**3 / seconds, f"numpy, {side} x {side} matrices"


def _bandwidth(working_set: int, clock: Clock) -> tuple[float, str]:
    """Bytes a second, read and written, of two arrays that take `working_set` bytes together."""
    count = working_set // 8
    source, target = np.ones(count, np.float32), np.ones(count, np.float32)
    size = f"{working_set / 2**20:.3g} MiB"
    ways = (
        (lambda: np.copyto(target, source), f"numpy, copying within {size}"),
        (lambda: np.dot(source, target), f"numpy, reading {size}"),
    )
    return max((8 * count / best_s(step, clock), how) for step, how in ways)
