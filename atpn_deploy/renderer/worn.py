"""What a head wears, as simple geometry: hair, hats, glasses and masks over mouth and nose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.appearance import Look, Rng
from atpn_deploy.renderer.face_model import FaceModel

Floats = NDArray[np.floating[Any]]

#: The hairline's height over the angle from straight ahead (times 9 cm), for a hairline of 0: from
#: the forehead over the temple and the sideburn to behind the ear; cm.
HAIRLINE_U = (0.0, 3.0, 5.5, 7.5, 9.5, 11.0, 12.5, 13.6, 19.5, 20.5, 30.0)
HAIRLINE_V = (0.0, 0.2, -0.2, -1.6, -3.4, -5.0, -6.6, -5.6, -5.6, -12.0, -15.0)


@dataclass(frozen=True)
class Piece:
    """A triangle mesh in the head's own frame (cm), of one material."""

    material: str
    vertices: NDArray[np.float32]  # (V, 3)
    triangles: NDArray[np.int64]  # (T, 3), clockwise seen from outside, on a screen with y down
    place: NDArray[np.float32]  # (V, 2) on the unrolled head


def above_hairline(place: Floats, look: Look) -> NDArray[np.float64]:
    """(..., 2) on the unrolled head to cm above the hairline; negative on the face."""
    aside = np.abs(place[..., 0])
    line = look.hairline + np.interp(aside, HAIRLINE_U, HAIRLINE_V)
    line = line + look.receding * np.exp(-(((aside - 4.5) / 2.2) ** 2))
    line = line + look.parting * 0.12 * place[..., 0] * np.exp(-((aside / 6) ** 2))
    return np.asarray(place[..., 1] - line, np.float64)


def random_pieces(model: FaceModel, head: Floats, look: Look, rng: Rng) -> list[Piece]:
    """Hair or a hat, and now and then glasses or a mask, on a head of (V, 3) vertices."""
    pieces = []
    hat = rng.random() < 0.1
    if hat:
        pieces.append(_cap(model, head, float(rng.uniform(7.6, 9.5)), float(rng.uniform(0.6, 1.5))))
    elif not look.bald:
        pieces.append(_hair(model, head, look, rng))
    if look.length and not look.bald:
        pieces.append(_curtain(head, look, rng))
    kind = rng.random()
    if kind < 0.16:
        pieces += _glasses(model, head, rng, dark=kind < 0.05)
    if rng.random() < 0.03:
        pieces.append(_mask(model, head, rng))
    return pieces


def _shell(
    model: FaceModel, head: Floats, material: str, thickness: Floats, parts: tuple[str, ...]
) -> Piece:
    """The head's own surface, moved outwards by `thickness` (V,) where that is positive."""
    triangles = model.triangles_of(*parts)
    triangles = triangles[(thickness[triangles] > 0).all(1)]
    normals = vertex_normals(head, model.triangles_of("face", "head"))
    lifted = head + normals * np.maximum(thickness, 0)[:, None]
    used, compact = np.unique(triangles, return_inverse=True)
    return Piece(
        material, lifted[used].astype(np.float32), compact.reshape(-1, 3), model.canonical[used]
    )


def _hair(model: FaceModel, head: Floats, look: Look, rng: Rng) -> Piece:
    above = above_hairline(model.canonical, look)
    u, v = model.canonical.T
    phase = rng.uniform(0, 6.3, 4)
    wave = np.sin(0.9 * u + phase[0]) + np.sin(0.7 * v + phase[1]) + np.sin(0.5 * u - v + phase[2])
    ramp = np.clip(above / 2.2, 0, 1)
    thickness = look.thickness * ramp * (2 - ramp) * (1 + 0.12 * wave) + 0.02
    return _shell(model, head, "hair", np.where(above > 0.25, thickness, 0), ("face", "head"))


def _cap(model: FaceModel, head: Floats, rim: float, thickness: float) -> Piece:
    """A woollen hat down to the height `rim` in front, lower behind."""
    u, v = model.canonical.T
    above = v - rim + 0.09 * np.abs(u)
    swollen = thickness * (0.35 + 0.65 * np.clip(above / 3, 0, 1))
    return _shell(model, head, "cloth", np.where(above > 0, swollen, 0), ("face", "head"))


def _mask(model: FaceModel, head: Floats, rng: Rng) -> Piece:
    """A medical mask from the bridge of the nose to under the chin."""
    u, v = model.canonical.T
    top = np.interp(np.abs(u), (0, 2, 10), (rng.uniform(1.0, 2.6), 1.4, 0.6))
    covered = (v < top) & (np.abs(u) < 10.5) & (v > -8.6) & (model.neutral[:, 2] > 2)
    piece = _shell(model, head, "mask", np.where(covered, 0.35, 0), ("face",))
    return replace(piece, vertices=_tightened(piece, 40))


def _tightened(piece: Piece, rounds: int) -> NDArray[np.float32]:
    """Vertices of a cloth stretched over a surface: hollows are bridged, nothing is pushed in."""
    vertices = piece.vertices.astype(np.float64)
    normals = vertex_normals(vertices, piece.triangles)
    start, end = piece.triangles.ravel(), np.roll(piece.triangles, 1, axis=1).ravel()
    links = np.bincount(start, minlength=len(vertices)) + 1e-9
    for _ in range(rounds):
        mean = [np.bincount(start, vertices[end, i], len(vertices)) / links for i in range(3)]
        out = ((np.stack(mean, 1) - vertices) * normals).sum(1)
        vertices += normals * np.maximum(out, 0)[:, None]
    return vertices.astype(np.float32)


def _curtain(head: Floats, look: Look, rng: Rng) -> Piece:
    """Long hair: a surface from the crown round the back of the head, hanging from its sides."""
    front = rng.uniform(0.95, 1.7)  # angle at which the hair begins, radian from straight ahead
    angle, down = np.meshgrid(np.linspace(front, 2 * np.pi - front, 56), np.linspace(0, 1, 22))
    scalp = head[9409:11248]
    wide, back = float(np.abs(scalp[:, 0]).max()), float(scalp[scalp[:, 1] > 0, 2].min())
    top = float(scalp[:, 1].max()) + 0.6 * look.thickness
    bottom = 3.0 - look.length - 1.2 * np.sin(3 * angle + rng.uniform(0, 6)) * rng.uniform(0, 1)
    height = top - 0.3 - down**0.9 * (top - 0.3 - bottom)
    # A dome over the head as far down as its widest place, straight or flared below it.
    widest = 5.0
    rise = np.clip((height - widest) / (top - widest), 0, 1)
    dome = np.sqrt(np.clip(1 - rise**2.4, 0.0, 1))
    fall = np.clip((widest - height) / 20, 0, 1)
    phase = rng.uniform(0, 6.3, 3)
    wave = 0.3 * np.sin(4 * angle + phase[0] + 2 * down) + 0.2 * np.sin(
        9 * angle + 6 * down + phase[1]
    )
    flare = 0.25 + 0.6 * look.thickness + fall * rng.uniform(-2.5, 2.5) + wave * (0.2 + fall)
    aside = (wide * 0.96 + flare) * dome
    depth = np.where(np.cos(angle) > 0, 6.5, -back + 0.3) + flare
    x, z = aside * np.sin(angle), 0.4 + depth * dome * np.cos(angle)
    vertices = np.stack((x, height, z), -1).reshape(-1, 3)
    rows, columns = angle.shape
    corner = np.arange((rows - 1) * columns).reshape(rows - 1, columns)[:, :-1].ravel()
    one = np.stack((corner, corner + 1, corner + columns), 1)
    two = np.stack((corner + 1, corner + columns + 1, corner + columns), 1)
    outside = np.concatenate((one, two))
    place = np.stack((9 * angle, height), -1).reshape(-1, 2)
    both = np.concatenate((outside, outside[:, ::-1]))
    return Piece("hair", vertices.astype(np.float32), both, place.astype(np.float32))


def _glasses(model: FaceModel, head: Floats, rng: Rng, *, dark: bool) -> list[Piece]:
    """Two rims with a bridge and temples; dark glasses have lenses that hide the eyes."""
    eyes = [head[model.landmarks[first : first + 8]].mean(0) for first in (60, 68)]
    front = float(head[model.landmarks[[52, 60, 72]], 2].max()) + 0.5
    half = np.array((rng.uniform(2.2, 2.9), rng.uniform(1.5, 2.2)))
    power = rng.uniform(2, 4.5)  # 2 is round, more is squarer
    width = rng.uniform(0.1, 0.38)
    turn = np.linspace(0, 2 * np.pi, 33)[:-1]
    round_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power)
    round_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power)
    temple = float(np.abs(head[model.landmarks[[0, 32]], 0]).mean())
    pieces = []
    for eye in eyes:
        side = np.sign(eye[0])
        ring = np.stack((half[0] * round_x, half[1] * round_y), 1)
        middle = eye[:2] + np.array((side * 0.15, -0.35))
        depth = front - 0.14 * np.abs(ring[:, 0] + middle[0]) - 0.5
        rim = np.column_stack((ring + middle, depth))
        pieces.append(_tube(np.vstack((rim, rim[:1])), width))
        if dark:
            pieces.append(_disc(rim))
        hinge = np.array((middle[0] + side * half[0], middle[1] + 0.5, depth.min()))
        ear = np.array((side * (temple + 0.15), eye[1] + 0.6, 1.0))
        pieces.append(_tube(np.linspace(hinge, ear, 6), min(width, 0.2)))
    inner = [eye[:2] + np.array((-np.sign(eye[0]) * (half[0] - 0.15), 0.15)) for eye in eyes]
    bridge = np.array(
        [(*inner[0], front - 0.5), (0, inner[0][1] + 0.3, front - 0.25), (*inner[1], front - 0.5)]
    )
    pieces.append(_tube(bridge, width))
    return pieces


def _tube(line: Floats, width: float) -> Piece:
    """A four-sided tube along an (N, 3) polyline."""
    offsets = 0.5 * width * np.array(((1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0)))
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.cross(along, (0.02, 0.03, 1.0))
    flat = np.linalg.norm(across, axis=1) < 0.6  # runs towards the camera: lay it over x instead
    across[flat] = np.cross(along[flat], (1.0, 0.05, 0.05))
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    third = np.cross(across, along)
    rings = line[:, None] + offsets[:, :1] * across[:, None] + offsets[:, 1:2] * third[:, None]
    vertices = rings.reshape(-1, 3)
    start = 4 * np.arange(len(line) - 1)[:, None] + np.arange(4)
    turned = 4 * np.arange(len(line) - 1)[:, None] + (np.arange(4) + 1) % 4
    quads = np.stack((start, turned, turned + 4, start + 4), -1).reshape(-1, 4)
    one = np.concatenate((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    place = np.zeros((len(vertices), 2), np.float32)
    both = np.concatenate((one, one[:, ::-1]))
    return Piece("frame", vertices.astype(np.float32), both, place)


def _disc(rim: Floats) -> Piece:
    """A fan of triangles inside a rim."""
    vertices = np.vstack((rim, rim.mean(0)))
    around = np.arange(len(rim))
    fan = np.stack((around, np.roll(around, -1), np.full(len(rim), len(rim))), 1)
    both = np.concatenate((fan, fan[:, ::-1]))
    return Piece(
        "lens", vertices.astype(np.float32), both, np.zeros((len(vertices), 2), np.float32)
    )


def vertex_normals(vertices: Floats, triangles: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """(V, 3) unit normals that point outwards, each the mean of its triangles' by area."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    face = np.cross(c - a, b - a)
    corner = triangles.ravel()
    total = np.stack(
        [np.bincount(corner, np.repeat(face[:, i], 3), len(vertices)) for i in range(3)], 1
    )
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12), np.float32)
