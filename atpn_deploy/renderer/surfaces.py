"""What a mesh of a head looks like through a camera: its colour in every pixel that it covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.appearance import (
    Look,
    Rng,
    linear,
    noise,
    sample,
    skin_texture,
)
from atpn_deploy.renderer.camera import Camera
from atpn_deploy.renderer.face_model import DRAWN, FaceModel
from atpn_deploy.renderer.lighting import WRAP, Light, gloss, lamp_visibility, shade
from atpn_deploy.renderer.rasteriser import rasterise
from atpn_deploy.renderer.scenery import muted
from atpn_deploy.renderer.studio import FAR, FaceStudio
from atpn_deploy.renderer.worn import Piece, above_hairline, vertex_normals

Floats = NDArray[np.floating[Any]]

MATERIALS = (
    *("face", "head", "mouth socket", "eye socket", "gums", "teeth", "eye"),
    *("hair", "cloth", "mask", "frame", "lens"),
)


BEHIND_LIPS = ("gums", "teeth", "mouth socket")


@dataclass(frozen=True)
class Paint:
    """What colours a head, and the state that draws its noise."""

    look: Look
    light: Light
    cloth: NDArray[np.float32]
    rng: Rng


@dataclass(frozen=True)
class Mesh:
    """All pieces of a head as one: V vertices, T triangles."""

    vertices: NDArray[np.float32]  # (V, 3) in the head's frame; the model's own come first
    place: NDArray[np.float32]  # (V, 2) on the unrolled head
    triangles: NDArray[np.int64]  # (T, 3)
    material: NDArray[np.int64]  # (T,) of MATERIALS


def head_pieces(model: FaceModel, head: Floats) -> list[Piece]:
    """The head's own mesh by material; what lies behind closed lips is left out."""
    hidden = () if model.open_mouth(head) else BEHIND_LIPS
    vertices = head.astype(np.float32)
    return [
        Piece(name, vertices, model.triangles_of(name), model.canonical)
        for name in DRAWN
        if name not in hidden
    ]


def joined(pieces: Sequence[Piece]) -> Mesh:
    """One mesh of pieces; those of the head itself share their vertices."""
    vertices, place = [pieces[0].vertices], [pieces[0].place]
    triangles, material = [], []
    count = len(pieces[0].vertices)
    for piece in pieces:
        own = piece.material in DRAWN
        triangles.append(piece.triangles if own else piece.triangles + count)
        material.append(np.full(len(piece.triangles), MATERIALS.index(piece.material)))
        if not own:
            vertices.append(piece.vertices)
            place.append(piece.place)
            count += len(piece.vertices)
    return Mesh(*(np.concatenate(rows) for rows in (vertices, place, triangles, material)))


def paint_head(
    studio: FaceStudio,
    pieces: Sequence[Piece],
    camera: Camera,
    size: tuple[int, int],
    paint: Paint,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The P pixels of a (height, width) picture that the pieces cover, their (P, 3) linear RGB."""
    mesh = joined(pieces)
    posed = camera.posed(mesh.vertices)
    away = camera.distance + posed[:, 2:]
    screen = np.hstack((camera.on_screen(posed), -1 / away))
    drawn = rasterise(screen, mesh.triangles, size)
    extra = len(posed) - len(studio.sky)  # vertices of what the head wears
    lit = np.ones(len(posed), np.float32)
    if paint.light.shadow:
        reached = lamp_visibility(paint.light.lamp, posed, mesh.triangles)
        lit = 1 - paint.light.shadow * (1 - reached)
    columns = (
        vertex_normals(posed, mesh.triangles),
        mesh.place,
        np.concatenate((studio.sky, np.ones(extra, np.float32))),
        lit,
        np.concatenate((studio.iris, np.full(extra, FAR, np.float32))),
    )
    surface = drawn.interpolate(np.column_stack(columns).astype(np.float32), mesh.triangles)
    return drawn.pixel, _coloured(studio, surface, mesh.material[drawn.triangle], paint)


def _coloured(
    studio: FaceStudio, surface: Floats, kind: NDArray[np.integer[Any]], paint: Paint
) -> NDArray[np.float32]:
    """(P, 8) normal, place, sky, lamp, iris and (P,) material to (P, 3) linear RGB."""
    normals = surface[:, :3] / (np.linalg.norm(surface[:, :3], axis=1, keepdims=True) + 1e-9)
    place, sky, lit, iris = surface[:, 3:5], surface[:, 5], surface[:, 6], surface[:, 7]
    finish = _plain_finishes(paint.rng)[kind]  # (P, 5)
    albedo, shine, sharp = finish[:, :3].copy(), finish[:, 3].copy(), finish[:, 4]
    wrap = np.full((len(kind), 3), 0.1, np.float32)
    skin = _of(kind, "face", "head")
    albedo[skin], wrap[skin] = _skin(studio, place[skin], paint), WRAP
    hair, eye, inside = _of(kind, "hair"), _of(kind, "eye"), _of(kind, *BEHIND_LIPS)
    albedo[hair], shine[hair] = _hair(place[hair], paint.look, paint.rng)
    albedo[eye] = _eye(iris[eye], paint.look, paint.rng)
    # The open sky is that of the mean head at rest: its lips are closed and its lids half so.
    sky = np.where(inside, np.clip(sky * 2.2, 0.1, 0.8), sky)
    sky = np.where(eye, np.clip(sky * 1.35, 0.2, 0.9), sky)
    light = shade(paint.light, normals, sky, np.where(inside, lit * 0.5, lit), wrap)
    glossy = (shine * lit * sky * gloss(paint.light, normals, sharp))[:, None]
    return np.asarray(albedo * light + glossy * paint.light.lamp_colour, np.float32)


def _of(kind: NDArray[np.integer[Any]], *names: str) -> NDArray[np.bool_]:
    """(P,) where the material is one of the names."""
    return np.isin(kind, [MATERIALS.index(name) for name in names])


def _plain_finishes(rng: Rng) -> NDArray[np.float32]:
    """(M, 5) by material: linear RGB without texture, gloss, sharpness of the gloss."""
    skin_gloss = (float(rng.uniform(0.02, 0.16)), float(rng.uniform(8, 22)))
    cloth, mask, frame = (linear(muted(rng)) * float(rng.uniform(0.5, 1)) for _ in range(3))
    if rng.random() < 0.5:
        mask = linear(np.array((150.0, 195.0, 225.0)))  # the usual light blue
    finishes = {
        "face": (0, 0, 0, *skin_gloss),
        "head": (0, 0, 0, *skin_gloss),
        "mouth socket": (0.16, 0.03, 0.03, 0, 20),
        "eye socket": (0.35, 0.12, 0.1, 0, 20),
        "gums": (0.42, 0.13, 0.13, 0.05, 20),
        "teeth": (0.68, 0.64, 0.56, 0.1, 30),
        "eye": (0, 0, 0, 0.7, 90),
        "hair": (0, 0, 0, 0, 20),
        "cloth": (*cloth, 0, 20),
        "mask": (*mask, 0, 20),
        "frame": (*frame, 0.5, 40),
        "lens": (0.02, 0.02, 0.025, 0.5, 40),
    }
    return np.array([finishes[name] for name in MATERIALS], np.float32)


def _skin(studio: FaceStudio, place: Floats, paint: Paint) -> NDArray[np.float32]:
    """(P, 3): the face's texture, the hair that grows on the scalp, clothes below the collar."""
    look, rng = paint.look, paint.rng
    texture = skin_texture(look, studio.regions, rng)
    colour = sample(texture, place)
    if not look.bald:
        rough = _strands(place, rng, 5.0)
        share = 1 / (
            1 + np.exp(-np.clip((above_hairline(place, look) + 0.35 * rough) * 6, -30, 30))
        )
        colour += share[:, None].astype(np.float32) * (look.hair - colour)
    # A collar that is deepest in front; behind, the unrolled head's height rises with the angle.
    collar = rng.uniform(-19, -12) + float(rng.uniform(0.05, 0.22)) * np.abs(place[:, 0])
    dressed = place[:, 1] < np.minimum(collar, -11)
    colour[dressed] = paint.cloth
    return colour


def _hair(place: Floats, look: Look, rng: Rng) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Albedo (P, 3) and gloss (P,) of hair: strands that run down from the crown."""
    strands = 0.6 * _strands(place, rng, 9.0) + 0.5 * _strands(place, rng, 2.5)
    tone = np.clip(1 + 0.38 * strands, 0.3, 2)
    streaks = np.clip(0.06 + 0.05 * strands, 0, 0.25)
    return np.asarray(look.hair * tone[:, None], np.float32), np.asarray(streaks, np.float32)


def _strands(place: Floats, rng: Rng, per_cm: float) -> NDArray[np.float32]:
    """(P,) noise that is long along the height and fine across it."""
    field = noise(rng, 64, 512, 1.0)
    field[-8:] += (field[:8] - field[-8:]) * np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    bend = 0.25 * np.sin(place[:, 1] * 0.8)
    column = ((place[:, 0] + bend) * per_cm).astype(np.int64) % 512
    row = (place[:, 1] * 2.0).astype(np.int64) % 64
    return np.asarray(field[row, column], np.float32)


def _eye(iris: Floats, look: Look, rng: Rng) -> NDArray[np.float32]:
    """(P, 3): white, iris with a dark rim, pupil, by the distance from its middle in cm."""
    radius, pupil = float(rng.uniform(0.6, 0.7)), float(rng.uniform(0.19, 0.32))
    white = linear(np.array((208, 196, 190)) * rng.uniform(0.82, 1.0))
    colour = np.broadcast_to(white, (len(iris), 3)).copy()
    share = np.clip((radius - iris) / 0.05, 0, 1)[:, None]
    rim = np.clip((iris - radius * 0.72) / (radius * 0.28), 0, 1)[:, None]
    colour += share * (look.iris * (1.25 - 0.85 * rim) - colour)
    dark = np.clip((pupil - iris) / 0.04, 0, 1)[:, None]
    return np.asarray(colour * (1 - 0.97 * dark), np.float32)
