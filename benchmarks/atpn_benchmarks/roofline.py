"""A file beside what the core it ran on could do at most, by multiply-adds and by bytes."""

from __future__ import annotations

from atpn_benchmarks.results import Cost, Fraction, Peaks


def fraction(cost: Cost, peaks: Peaks, p50_s: float) -> Fraction | None:
    """The least time that peaks and bandwidth allow, as a share of the median.

    The larger of `least_compute_s` and `least_memory_s`. None where a peak that the file needs was
    not measured. A share above 1 is kept as it is: see `exceeded`.
    """
    compute_s, memory_s = least_compute_s(cost, peaks), least_memory_s(cost, peaks)
    if compute_s is None or memory_s is None:
        return None
    limit_s = max(compute_s, memory_s)
    return Fraction(limit_s, limit_s / p50_s, "compute" if compute_s >= memory_s else "memory")


def least_compute_s(cost: Cost, peaks: Peaks) -> float | None:
    """Multiply-adds at the core's peaks: those in int8 at its int8 peak, all others at fp32's."""
    seconds = 0.0
    for macs, peak in (
        (cost.macs - cost.int8_macs, peaks.fp32_macs_per_s),
        (cost.int8_macs, peaks.int8_macs_per_s),
    ):
        if macs and not peak:
            return None
        if peak:
            seconds += macs / peak
    return seconds


def least_memory_s(cost: Cost, peaks: Peaks) -> float | None:
    """Bytes moved, at the bandwidth of where the working set fits.

    A working set (weights and the activations alive at once) that fits the largest cache never has
    to come from memory, and is given the bandwidth of the second-level cache, which no larger one
    exceeds, so that the limit stays one. So is a set of any size where the largest cache is
    unknown. A larger set is given memory's bandwidth.
    """
    working_set = cost.weight_bytes + cost.activation_bytes
    fits = not peaks.last_cache_bytes or working_set <= peaks.last_cache_bytes
    bandwidth = peaks.cache_bytes_per_s if fits else peaks.memory_bytes_per_s
    return cost.moved_bytes / bandwidth if bandwidth else None


def exceeded(name: str, found: Fraction) -> str:
    """What is wrong with a file that is faster than its limit, in a sentence; "" for any other."""
    if found.fraction <= 1:
        return ""
    return (
        f"{name} ran in {found.limit_s / found.fraction * 1e3:.3g} ms, less than the "
        f"{found.limit_s * 1e3:.3g} ms that the measured {found.bound} peak allows: the peaks were "
        "disturbed; measure again on a quiet machine"
    )
