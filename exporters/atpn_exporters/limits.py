"""Limits that several backends have in common: how far a file of one kind may drift, and why."""

from __future__ import annotations

from atpn_deploy.parity import Limit

ROUNDING = "the same float32 arithmetic in another order; 1e-4 px is some thirty roundings of 1.0"
HALF_WEIGHTS = "weights rounded to 11 bits; activations stay float32"
STEPS = "int8 activations: errors of half a step in some thirty layers add up"
SIDE = "a clear face or none stays on its side"

#: Half of the shipped networks' own error on faces that they have not seen: 4.6 % of the
#: inter-ocular distance, of which 1 % is 0.43 px, and 4.7 to 4.9 degrees. Where a file drifts
#: further, compressing it weighs as much as half of the training. Pixels, percent, degrees.
HALF_OF_OWN_ERROR = (1.0, 2.3, 2.4)


def float32_limits(reason: str = ROUNDING) -> tuple[Limit, ...]:
    """Limits on the largest single error of a file that computes in float32."""
    return (
        Limit("landmarks", "max", 1e-4, "px", reason),
        Limit("pose", "max", 1e-3, "degree", reason),
        Limit("confidence", "max", 1e-5, "probability", reason),
    )


#: Float16 weights under float32 activations.
HALF_WEIGHT_LIMITS = (
    Limit("landmarks", "max", 0.05, "px", HALF_WEIGHTS, "faces"),
    Limit("pose", "max", 0.2, "degree", HALF_WEIGHTS, "faces"),
    Limit("confidence", "max", 0.005, "probability", HALF_WEIGHTS),
)


def mean_limits(
    drift: tuple[float, float, float], probability: float, reason: str, side: str | None = None
) -> tuple[Limit, ...]:
    """Limits on the mean drift over the golden faces, and on the worst confidence of all crops.

    `drift` is in pixels, percent of the inter-ocular distance and degrees; `side` is the reason of
    the limit on the confidence where it has one of its own.
    """
    pixels, percent, degrees = drift
    return (
        Limit("landmarks", "mean", pixels, "px", reason, "faces"),
        Limit("landmarks", "mean", percent, "% inter-ocular", reason, "faces"),
        Limit("pose", "mean", degrees, "degree", reason, "faces"),
        Limit("confidence", "max", probability, "probability", side or reason),
    )


#: Calibrated int8: a quarter of the networks' own error and less.
INT8_LIMITS = mean_limits((0.5, 1.5, 1.5), 0.1, STEPS)
