"""Colours of a synthetic face: skin, lips, brows, lashes, beard and eyes, drawn and not measured.

Everything is drawn on the unrolled mean head (`FaceModel.canonical`) and so follows every shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.face_model import unrolled

Floats = NDArray[np.floating[Any]]
Rng = np.random.Generator

#: The patch of the unrolled head that has a texture, in cm, and its resolution.
LEFT, RIGHT, BOTTOM, TOP = -17.0, 17.0, -10.0, 14.0
PIXELS_PER_CM = 14
HEIGHT, WIDTH = int((TOP - BOTTOM) * PIXELS_PER_CM), int((RIGHT - LEFT) * PIXELS_PER_CM)

#: Skin in daylight from the lightest to the darkest, sRGB: steps between which tones are mixed.
SKIN_TONES = np.array(
    [
        (246, 214, 194), (236, 196, 170), (225, 180, 150), (210, 160, 126), (188, 136, 102),
        (156, 106, 76), (124, 80, 57), (94, 60, 44), (68, 46, 37),
    ],
    np.float32,
)  # fmt: skip
HAIR_COLOURS = np.array(
    [
        (28, 24, 22), (42, 32, 27), (66, 46, 34), (96, 66, 44), (140, 102, 66), (188, 152, 104),
        (120, 62, 36), (168, 164, 160), (214, 210, 204),
    ],
    np.float32,
)  # fmt: skip
HAIR_ODDS = (0.24, 0.2, 0.17, 0.12, 0.08, 0.06, 0.04, 0.05, 0.04)
IRIS_COLOURS = np.array(
    [(52, 34, 24), (78, 50, 30), (104, 76, 44), (88, 96, 70), (92, 122, 148), (120, 130, 134)],
    np.float32,
)


def linear(colour: Floats) -> NDArray[np.float32]:
    """8-bit sRGB values to light, 0 to 1 (a gamma of 2.2 is close enough here)."""
    return np.asarray((np.clip(colour, 0, 255) / 255) ** 2.2, np.float32)


@dataclass(frozen=True)
class Look:
    """What one face looks like; colours are linear RGB."""

    skin: NDArray[np.float32]
    lips: NDArray[np.float32]
    hair: NDArray[np.float32]
    brows: NDArray[np.float32]
    iris: NDArray[np.float32]
    beard: float  # 0 none, 0.4 stubble, 1 full
    moustache: float
    make_up: float
    freckles: float
    bald: bool
    hairline: float  # height over the middle of the forehead, cm on the unrolled head
    receding: float  # how far the hairline draws back over the temples, cm
    parting: float  # how slanting it is: -1 to 1
    thickness: float  # of the hair, cm
    length: float  # of hair that hangs down, cm below the eyes; 0 where none does


def random_look(rng: Rng) -> Look:
    """A person's colours and hair; every tone of skin is as likely as every other."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    shift = rng.normal(0, 0.025)
    skin = _between(SKIN_TONES, tone) * (1 + np.array((0.4, 1.0, 1.9)) * shift)
    dark = tone / (len(SKIN_TONES) - 1)
    hair_kind = int(rng.choice(len(HAIR_COLOURS), p=HAIR_ODDS))
    if dark > 0.5 and hair_kind in (3, 4, 5, 6):
        hair_kind = int(rng.integers(0, 2))
    hair = HAIR_COLOURS[hair_kind] * rng.normal(1, 0.12) * rng.normal(1, 0.02, 3)
    pink = np.array((0.86, 0.58, 0.58)) if dark < 0.5 else np.array((0.84, 0.66, 0.66))
    lips = skin * (pink + rng.normal(0, 0.04, 3))
    man = rng.random() < 0.5
    make_up = 0.0 if man else float(rng.random() < 0.5) * rng.uniform(0.2, 1)
    if make_up > 0.5:
        red = np.array((170, 30, 50)) + rng.normal(0, 22, 3)
        lips = lips * (1 - make_up * 0.7) + red * make_up * 0.7
    pale = dark > 0.35 or rng.random() < 0.4
    iris = IRIS_COLOURS[rng.integers(0, 2 if pale else len(IRIS_COLOURS))]
    beard = float(rng.choice((0.0, rng.uniform(0.1, 0.5), rng.uniform(0.6, 1)), p=(0.4, 0.4, 0.2)))
    return Look(
        linear(skin),
        linear(lips),
        linear(hair),
        linear(np.minimum(hair, 110) * rng.uniform(0.6, 0.95)),
        linear(iris * rng.normal(1, 0.1, 3)),
        beard if man else 0.0,
        float(np.clip(beard + rng.normal(0, 0.15), 0, 1)) if man and beard else 0.0,
        make_up,
        float(rng.random() < 0.15) * (1 - dark),
        bool(man and rng.random() < 0.12),
        float(np.clip(rng.normal(10.2, 0.9), 7.4, 12.2)),
        float(rng.uniform(-0.3, 2.2 if man else 0.8)),
        float(rng.uniform(-1, 1)),
        float(rng.uniform(0.3, 1.6) if man else rng.uniform(0.6, 2.2)),
        float((rng.random() < (0.08 if man else 0.75)) * rng.uniform(4, 20)),
    )


def _between(steps: Floats, position: float) -> Floats:
    """Row `position` of (N, 3) colours, between two rows where it is no whole number."""
    low = min(int(position), len(steps) - 2)
    return np.asarray(steps[low] + (position - low) * (steps[low + 1] - steps[low]))


def at(place: Floats) -> NDArray[np.float32]:
    """(..., 2) cm on the unrolled head to (column, row) of the texture."""
    column = (place[..., 0] - LEFT) * PIXELS_PER_CM
    row = (TOP - place[..., 1]) * PIXELS_PER_CM
    return np.asarray(np.stack((column, row), -1), np.float32)


@dataclass(frozen=True)
class Regions:
    """Where on the texture things are, (HEIGHT, WIDTH), 0 to 1; the same for every face."""

    lips: NDArray[np.float32]
    brows: NDArray[np.float32]
    lashes: NDArray[np.float32]  # the edge of the upper lid
    lower_lashes: NDArray[np.float32]
    crease: NDArray[np.float32]  # the fold above the upper lid, and shade below the eye
    blush: NDArray[np.float32]
    beard: NDArray[np.float32]
    moustache: NDArray[np.float32]
    brow_outlines: tuple[NDArray[np.float32], ...]  # (9, 2) texture pixels each


def make_regions(mean_points: Floats) -> Regions:
    """Draw the regions round the 98 points (98, 3) of the mean head."""
    points = at(unrolled(mean_points))
    brows = (points[33:42], points[42:51])
    lashes, lower, crease = (np.zeros((HEIGHT, WIDTH), np.float32) for _ in range(3))
    for start in (60, 68):
        upper_lid, lower_lid = (
            points[start : start + 5],
            points[[start, *range(start + 7, start + 3, -1)]],
        )
        _stroke(lashes, upper_lid, 0.13)
        _stroke(lower, lower_lid, 0.07)
        _stroke(crease, upper_lid - np.array((0, 0.42 * PIXELS_PER_CM)), 0.16)
        _stroke(crease, lower_lid + np.array((0, 0.5 * PIXELS_PER_CM)), 0.2)
    column, row = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    u, v = column / PIXELS_PER_CM + LEFT, TOP - row / PIXELS_PER_CM
    blush = np.exp(-(((np.abs(u) - 5.2) / 2.2) ** 2) - ((v - 0.6) / 1.6) ** 2)
    blush += 0.8 * np.exp(-((u / 1.1) ** 2) - ((v - 0.2) / 1.2) ** 2)
    lips = _filled([points[76:88]], 0.12)
    jaw = np.interp(
        np.abs(u),
        (0, 1.5, 3.5, 6.5, 10.5, 12, 13.2, 13.6),
        (-4.9, -4.6, -3.2, -2.6, -0.6, 2.5, 3.0, -9),
    )
    beard = _soft(jaw - v, 0.5) * _soft(v + 8.6, 0.6) * (1 - lips)
    lip_top = np.interp(np.abs(u), (0, 2.6, 3.4), (-2.0, -2.3, -4.4))
    moustache = _soft(lip_top + 0.45 - v, 0.25) * _soft(3.3 - np.abs(u), 0.3) * _soft(v + 4.6, 0.3)
    return Regions(
        lips,
        _filled(brows, 0.1),
        cv2.GaussianBlur(lashes, (0, 0), 0.7).astype(np.float32),
        cv2.GaussianBlur(lower, (0, 0), 0.7).astype(np.float32),
        cv2.GaussianBlur(crease, (0, 0), 2.0).astype(np.float32),
        blush.astype(np.float32),
        beard.astype(np.float32),
        (moustache * (1 - lips)).astype(np.float32),
        brows,
    )


def _soft(distance: Floats, width: float) -> Floats:
    """1 inside (distance > 0), 0 outside, with an edge of `width`."""
    return np.asarray(1 / (1 + np.exp(-np.clip(distance / width * 4, -30, 30))))


def _stroke(canvas: NDArray[np.float32], line: Floats, width_cm: float) -> None:
    fine = np.round(line * 16).astype(np.int32)
    width = max(1, round(width_cm * PIXELS_PER_CM))
    cv2.polylines(canvas, [fine], False, 1.0, width, cv2.LINE_AA, 4)


def _filled(outlines: Any, blur_cm: float) -> NDArray[np.float32]:
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    for outline in outlines:
        cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), blur_cm * PIXELS_PER_CM).astype(np.float32)


def noise(rng: Rng, height: int, width: int, grain: float) -> NDArray[np.float32]:
    """(height, width) smooth noise about 0 with a standard deviation near 1, spots of `grain`."""
    small = (max(2, int(height / grain) + 2), max(2, int(width / grain) + 2))
    field = rng.standard_normal(small, np.float32)
    return cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def skin_texture(look: Look, regions: Regions, rng: Rng) -> NDArray[np.float32]:
    """(HEIGHT, WIDTH, 3) linear RGB: the face's own colour, without light."""
    tint = 0.05 * noise(rng, HEIGHT, WIDTH, 60) + 0.03 * noise(rng, HEIGHT, WIDTH, 16)
    tint += 0.035 * noise(rng, HEIGHT, WIDTH, 4) + 0.03 * noise(rng, HEIGHT, WIDTH, 1.6)
    shade = 1 + tint - 0.22 * rng.uniform(0.3, 1) * regions.crease
    if look.freckles:
        spots = noise(rng, HEIGHT, WIDTH, 3.2)
        shade -= (
            0.25 * look.freckles * np.clip(spots - 1.3, 0, 1) * np.clip(regions.blush * 2, 0, 1)
        )
    colour = shade[..., None] * look.skin
    red = regions.blush * float(rng.uniform(0.03, 0.16) + 0.1 * look.make_up)
    colour *= 1 - red[..., None] * np.array((0.0, 0.75, 0.6), np.float32)
    lip_shade = 1 + 0.12 * noise(rng, HEIGHT, WIDTH, 3)
    colour = _over(colour, look.lips * lip_shade[..., None], regions.lips)
    if look.beard:
        _grow(colour, look, regions, rng)
    if look.make_up:
        shadow = look.skin * np.array((0.55, 0.45, 0.5), np.float32)
        colour = _over(colour, shadow, np.clip(regions.crease * look.make_up, 0, 0.8))
    colour = _over(colour, look.brows, _brow_hairs(regions, rng))
    lid = look.brows * 0.35
    colour = _over(colour, lid, regions.lashes * (0.65 + 0.3 * look.make_up))
    return _over(colour, lid, regions.lower_lashes * (0.2 + 0.4 * look.make_up))


def _over(colour: Floats, paint: Floats, share: Floats) -> NDArray[np.float32]:
    """Paint over a texture where `share` is 1."""
    return np.asarray(colour + share[..., None] * (paint - colour), np.float32)


def _grow(colour: NDArray[np.float32], look: Look, regions: Regions, rng: Rng) -> None:
    """Stubble or a beard, in place: dense where the beard is full."""
    where = np.clip(look.beard * regions.beard, 0, 1)
    where = np.maximum(where, look.moustache * regions.moustache)
    hairs = np.clip(0.62 + 0.45 * noise(rng, HEIGHT, WIDTH, 1.5), 0.1, 1)
    patches = np.clip(0.9 + 0.25 * noise(rng, HEIGHT, WIDTH, 14), 0, 1)
    share = np.clip(where * hairs * patches * 1.1, 0, 0.96)[..., None]
    colour += share * (look.brows * 1.2 - colour)


def _brow_hairs(regions: Regions, rng: Rng) -> NDArray[np.float32]:
    """Brows of single hairs within their outlines, denser in some faces than in others."""
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    density, thickness = rng.uniform(0.1, 0.75), 1 + int(rng.random() < 0.3)
    count = int(rng.integers(60, 150))
    for outline in regions.brow_outlines:
        upper, lower = outline[:5], outline[[0, 8, 7, 6, 5]]
        outward = np.sign(outline[:, 0].mean() - WIDTH / 2)
        along, across = rng.uniform(0, 4, count), rng.uniform(0.1, 0.95, count)
        if outward < 0:  # the outlines run from left to right; hairs point outwards
            inner = 4 - along
        else:
            inner = along
        low = np.minimum(along.astype(int), 3)
        step = (along - low)[:, None]
        top = upper[low] + step * (upper[low + 1] - upper[low])
        bottom = lower[low] + step * (lower[low + 1] - lower[low])
        root = bottom + across[:, None] * (top - bottom)
        rise = np.interp(inner, (0, 1.5, 4), (-0.9, -0.45, 0.15)) + rng.normal(0, 0.15, count)
        length = rng.uniform(0.3, 0.65, count) * PIXELS_PER_CM
        tip = root + np.stack((outward * np.cos(rise), np.sin(rise)), 1) * length[:, None]
        lines = np.round(np.stack((root, tip), 1) * 16).astype(np.int32)
        cv2.polylines(canvas, list(lines), False, 1.0, thickness, cv2.LINE_AA, 4)
    inside = np.clip(cv2.GaussianBlur(regions.brows, (0, 0), 1.0) * 1.3, 0, 1)
    return np.asarray(np.clip((0.75 * canvas + density * 0.6) * inside, 0, 0.93), np.float32)


def sample(texture: NDArray[np.float32], place: Floats) -> NDArray[np.float32]:
    """(P, 2) cm on the unrolled head to (P, 3) of the texture; beyond its edge, the edge."""
    where = at(place) - 0.5
    # OpenCV's remap takes at most 32767 rows: fold the list of points into a rectangle.
    count = len(where)
    folded = np.resize(where, (-(-count // 512), 512, 2)) if count else where.reshape(0, 1, 2)
    if not count:
        return np.zeros((0, 3), np.float32)
    found = cv2.remap(
        texture,
        folded,
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,  # type: ignore[call-overload]
    )
    return np.asarray(found.reshape(-1, 3)[:count], np.float32)
