"""Synthetic faces: one random head as a picture with the exact points and pose that made it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import FaceSet, Image, boxes_of
from atpn_deploy.pose import rotation
from atpn_deploy.renderer.appearance import Rng, linear, random_look
from atpn_deploy.renderer.behaviour import random_expression, random_pose
from atpn_deploy.renderer.camera import Camera
from atpn_deploy.renderer.face_points import points_in_picture
from atpn_deploy.renderer.lighting import random_light
from atpn_deploy.renderer.scenery import (
    background,
    draw_occluder,
    draw_shoulders,
    muted,
    photographed,
)
from atpn_deploy.renderer.studio import FaceStudio, open_studio
from atpn_deploy.renderer.surfaces import Paint, head_pieces, paint_head
from atpn_deploy.renderer.worn import random_pieces

Floats = NDArray[np.floating[Any]]

SIDE = 160  # pixels of a picture; it is drawn at twice that
#: The longer side of the points' box, as shares of the picture: room for the crop's margin.
FACE_SHARE = (0.5, 0.62)
SHIFT = 0.04  # how far off the middle the face may lie, share of the picture
DISTANCE_CM = (55.0, 320.0)  # from an arm's length to a telephoto lens
OCCLUDED = 0.1  # probability of something in front of the face
#: Where the neck ends in the head's own frame, cm.
NECK = np.array((0.0, -14.5, -1.0))


@dataclass(frozen=True)
class RenderedFace:
    """A picture and what is true of it."""

    image: Image  # (SIDE, SIDE, 3) RGB
    points: NDArray[np.float32]  # (98, 2) pixels, edge based, WFLW order
    pose: NDArray[np.float32]  # (3,) radian, (yaw, pitch, roll)
    head: NDArray[np.bool_]  # (SIDE, SIDE) where the head and what it wears cover the picture


def rendered_faces(
    model_file: Path,
    count: int,
    seed: int,
    backgrounds: Sequence[Image] = (),
    processes: int = 1,
) -> FaceSet:
    """`count` synthetic faces of 160x160 pixels with 98 points and pose, about 0.1 s each.

    Face i depends on (seed, i) and the backgrounds alone, however many processes draw. Without
    backgrounds they are drawn. DatasetError where the model file is missing or another one.
    """
    if processes == 1 or count < processes:
        return face_set(_every(model_file, seed, range(count), backgrounds), seed)
    shares = [range(first, count, processes) for first in range(processes)]
    # OpenCV's own threads don't survive a fork.
    with ProcessPoolExecutor(processes, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        parts = [pool.submit(_every, model_file, seed, share, backgrounds) for share in shares]
        drawn = [part.result() for part in parts]
    return face_set([drawn[index % processes][index // processes] for index in range(count)], seed)


def _every(
    model_file: Path, seed: int, indices: Sequence[int], backgrounds: Sequence[Image]
) -> list[RenderedFace]:
    """The faces of these numbers."""
    studio = open_studio(model_file)
    return [rendered(studio, seed, index, backgrounds) for index in indices]


def rendered(
    studio: FaceStudio, seed: int, index: int, backgrounds: Sequence[Image] = ()
) -> RenderedFace:
    """Face number `index` of `seed`."""
    return render_face(studio, np.random.default_rng((seed, index)), backgrounds)


def face_set(faces: Sequence[RenderedFace], seed: int) -> FaceSet:
    """Faces number 0, 1, 2, ... of `seed` as a set; every point and pose of it counts."""
    points = np.array([face.points for face in faces], np.float32).reshape(-1, 98, 2)
    weights = np.ones(points.shape[:2], np.float32)
    return FaceSet(
        [face.image for face in faces],
        boxes_of(points, weights),
        points,
        weights,
        np.array([face.pose for face in faces], np.float32).reshape(-1, 3),
        tuple(f"render {index} of seed {seed}" for index in range(len(faces))),
    )


def render_face(
    studio: FaceStudio,
    rng: Rng,
    backgrounds: Sequence[Image] = (),
    pose: Floats | None = None,
) -> RenderedFace:
    """One random face; the same state of `rng` gives the same picture.

    A `pose` (3,) in radians replaces the random one and changes nothing else of the draw.
    """
    modes = len(studio.model.identity)
    identity = np.clip(rng.standard_normal(modes), -2.5, 2.5)
    head = studio.model.shape(identity, random_expression(rng))
    look, light, drawn_pose = random_look(rng), random_light(rng), random_pose(rng)
    held = drawn_pose if pose is None else np.asarray(pose, np.float64)
    camera, points = _framed(studio, head, held, rng)
    pieces = head_pieces(studio.model, head) + random_pieces(studio.model, head, look, rng)
    scene = background(2 * SIDE, backgrounds, rng)
    cloth = linear(muted(rng))
    lit_cloth = cloth * (light.ambient[0] + 0.4 * light.lamp_colour)
    draw_shoulders(scene, camera.project(NECK), camera.lean, camera.scale, lit_cloth)
    paint = Paint(look, light, cloth, rng)
    pixels, colours = paint_head(studio, pieces, camera, scene.shape[:2], paint)
    scene.reshape(-1, 3)[pixels] = colours
    if rng.random() < OCCLUDED:
        draw_occluder(scene, points.mean(0), float(np.ptp(points, axis=0).max()), rng)
    covered = np.zeros(4 * SIDE * SIDE, np.bool_)
    covered[pixels] = True
    return RenderedFace(
        photographed(scene, rng),
        (points / 2).astype(np.float32),
        held.astype(np.float32),
        np.asarray(covered.reshape(SIDE, 2, SIDE, 2).any((1, 3))),
    )


def _framed(
    studio: FaceStudio, head: Floats, pose: Floats, rng: Rng
) -> tuple[Camera, NDArray[np.float64]]:
    """A camera that shows the face in the middle, and the points in pixels of the double size."""
    distance = float(np.exp(rng.uniform(*np.log(DISTANCE_CM))))
    plain = Camera(rotation(pose), distance, 1.0, np.zeros(2))
    points = points_in_picture(
        studio.paths, head, plain.project, lean=plain.lean, ahead=plain.ahead
    )
    low, high = points.min(0), points.max(0)
    scale = 2 * SIDE * rng.uniform(*FACE_SHARE) / float((high - low).max())
    middle = SIDE + rng.uniform(-SHIFT, SHIFT, 2) * 2 * SIDE
    centre = middle - scale * (low + high) / 2
    return Camera(plain.turn, distance, float(scale), centre), points * scale + centre
