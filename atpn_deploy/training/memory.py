"""Memory that training gives back between steps only to ask for it again."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT_BYTES = 256 * 2**20


def keep_memory() -> bool:
    """Tell glibc to keep freed memory; True where it could be told.

    By default every activation above 32 MiB, and each above a moving threshold, is mapped afresh,
    and the kernel clears its pages at first touch: a ReLU on 19 MB took 9 to 50 ms instead of 1.5.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    told = (
        mallopt(M_MMAP_MAX, 0),
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1),
        mallopt(M_TOP_PAD, KEPT_BYTES),
    )
    return all(told)
