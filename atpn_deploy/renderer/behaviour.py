"""How a synthetic head is held and what its face does: random poses and expressions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.appearance import Rng

#: Movements of the mouth that have no left and right half.
MOUTHS = (
    *("mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower"),
    *("mouthLeft", "mouthRight", "jawLeft", "jawRight"),
)


def random_pose(rng: Rng) -> NDArray[np.float64]:
    """(yaw, pitch, roll) in radians: mostly towards the camera, all yaws up to 90 degrees."""
    yaw = rng.uniform(-90, 90) if rng.random() < 0.45 else rng.normal(0, 22)
    pitch, roll = rng.normal(-4, 13), rng.normal(0, 11)
    if rng.random() < 0.1:
        roll += rng.uniform(-40, 40)
    return np.radians((np.clip(yaw, -90, 90), np.clip(pitch, -45, 45), roll))


def random_expression(rng: Rng) -> dict[str, float]:
    """Coefficients of blendshapes: a rest that is never still, on top a few larger movements."""
    amounts: dict[str, float] = {}

    def add(name: str, amount: float, uneven: float = 0.15) -> None:
        for side in ("_L", "_R"):
            other = amount * (1 + rng.normal(0, uneven))
            amounts[name + side] = float(np.clip(amounts.get(name + side, 0) + other, 0, 1.1))

    if rng.random() < 0.6:
        smile = rng.uniform(0.15, 1)
        add("mouthSmile", smile)
        add("cheekSquint", smile * rng.uniform(0, 0.8))
        add("eyeSquint", smile * rng.uniform(0, 0.7))
        if rng.random() < 0.6:
            add("mouthUpperUp", smile * rng.uniform(0.1, 0.7))
            add("mouthLowerDown", smile * rng.uniform(0.1, 0.7))
    elif rng.random() < 0.5:
        name = str(rng.choice(("mouthFrown", "mouthStretch", "mouthPress", "mouthDimple")))
        add(name, rng.uniform(0.2, 0.9))
    if rng.random() < 0.55:
        amounts["jawOpen"] = float(rng.beta(1.2, 2.4)) * 0.95
    if rng.random() < 0.2:
        name = str(rng.choice(MOUTHS))
        amounts[name] = float(rng.uniform(0.2, 0.8))
    brow = rng.random()
    if brow < 0.25:
        add("browInnerUp", rng.uniform(0.2, 1), 0.05)
        add("browOuterUp", rng.uniform(0, 1))
    elif brow < 0.5:
        add("browDown", rng.uniform(0.2, 1))
    if rng.random() < 0.08:
        add("noseSneer", rng.uniform(0.3, 1))
    if rng.random() < 0.05:
        add("cheekPuff", rng.uniform(0.3, 0.9))
    _move_eyes(amounts, add, rng)
    return amounts


def _move_eyes(amounts: dict[str, float], add: Callable[..., None], rng: Rng) -> None:
    """Lids and gaze."""
    lids = rng.random()
    if lids < 0.08:
        add("eyeBlink", rng.uniform(0.85, 1.0), 0.02)
    elif lids < 0.4:
        add("eyeBlink", rng.uniform(0.05, 0.5), 0.1)
    elif lids < 0.62:
        add("eyeWide", rng.uniform(0.2, 1))
    if rng.random() < 0.03:
        amounts[f"eyeBlink_{rng.choice(('L', 'R'))}"] = 1.0
    left, up = np.clip(rng.normal(0, (0.3, 0.22)), -0.9, 0.9)
    sides = ("eyeLookOut_L", "eyeLookIn_R") if left > 0 else ("eyeLookIn_L", "eyeLookOut_R")
    for name in sides:
        amounts[name] = abs(float(left))
    for side in "LR":
        amounts[f"eyeLook{'Up' if up > 0 else 'Down'}_{side}"] = abs(float(up))
