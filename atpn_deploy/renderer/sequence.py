"""A screenplay as pictures, each with the exact points and pose of every face in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import Image
from atpn_deploy.pose import rotation
from atpn_deploy.renderer.appearance import Look, linear, random_look
from atpn_deploy.renderer.camera import Camera
from atpn_deploy.renderer.face_points import points_in_picture
from atpn_deploy.renderer.lighting import Light, random_light
from atpn_deploy.renderer.scenery import background, developed, draw_shoulders, muted
from atpn_deploy.renderer.screenplay import FPS, Actor, Bar, Key, Shot
from atpn_deploy.renderer.studio import FaceStudio
from atpn_deploy.renderer.surfaces import Paint, head_pieces, paint_head
from atpn_deploy.renderer.worn import random_pieces

Mask = NDArray[np.bool_]

SIZE = (300, 400)  # height and width of a picture; it is drawn at twice that
DISTANCE_CM = 90.0  # from camera to face: someone before a screen
GRAIN = 1.5  # standard deviation of the camera's noise, of 255
#: A face with fewer of its points in the picture and uncovered than this share is not seen.
SEEN_SHARE = 0.5
#: Where the neck ends in the head's own frame, cm.
NECK = np.array((0.0, -14.5, -1.0))


@dataclass(frozen=True)
class ActedFace:
    """What is true of one face in one picture."""

    person: int
    points: NDArray[np.float32]  # (98, 2) pixels, edge based, WFLW order, outside ones too
    pose: NDArray[np.float32]  # (3,) radian, (yaw, pitch, roll)
    inside: Mask  # (98,) whether a point lies in the picture
    covered: Mask  # (98,) whether something, or somebody, is in front of it

    @property
    def in_picture(self) -> bool:
        """Whether half of it lies in the picture, covered or not: what an annotator would mark."""
        return bool(self.inside.mean() >= SEEN_SHARE)

    @property
    def seen(self) -> bool:
        """Whether half of it can be seen."""
        return bool((self.inside & ~self.covered).mean() >= SEEN_SHARE)


@dataclass(frozen=True)
class SequenceFrame:
    """A picture and the faces in it, in the order of the shot's actors."""

    index: int
    time_s: float
    shot: int
    image: Image  # (H, W, 3) RGB
    faces: tuple[ActedFace, ...]


def rendered_sequence(
    studio: FaceStudio, shots: Sequence[Shot], seed: int, size: tuple[int, int] = SIZE
) -> Iterator[SequenceFrame]:
    """The frames of a screenplay one by one, (height, width) pixels, some 0.07 s a face.

    The same shots, seed and size always give the same pictures.
    """
    index = 0
    casts: dict[int, _Person] = {}
    for number, shot in enumerate(shots):
        for actor in shot.actors:
            if actor.person not in casts:
                casts[actor.person] = _person(studio, seed, actor.person)
        rng = np.random.default_rng((seed, number, 1))
        wide = background(2 * max(size), (), rng)
        scenery = wide[: 2 * size[0], : 2 * size[1]]
        light = replace(random_light(rng), shadow=0.0)  # shadows would double the time
        bar_colour = linear(muted(rng))
        for frame in range(shot.frames):
            grain = np.random.default_rng((seed, number, 2, frame))
            stage = _Stage(studio, scenery.copy(), light)
            for actor in shot.actors:
                stage.enter(casts[actor.person], actor.at(frame))
            for bar in shot.bars:
                if bar.first <= frame < bar.end:
                    stage.cover(bar, bar_colour)
            noise = grain.standard_normal((*size, 3), np.float32) * GRAIN
            image = np.clip(np.rint(developed(stage.scene) + noise), 0, 255).astype(np.uint8)
            yield SequenceFrame(index, index / FPS, number, image, stage.faces(shot.actors))
            index += 1


@dataclass(frozen=True)
class _Person:
    """What stays the same of a person."""

    seed: tuple[int, int]
    identity: NDArray[np.float64]
    look: Look
    cloth: NDArray[np.float32]
    extent_cm: float  # longer side of the points' box at rest, at the pivot's distance
    middle_cm: NDArray[np.float64]  # (2,) of that box, from the pivot


def _person(studio: FaceStudio, seed: int, person: int) -> _Person:
    rng = np.random.default_rng((seed, person, 0))
    identity = np.clip(rng.standard_normal(len(studio.model.identity)), -1.5, 1.5)
    camera = Camera(rotation(np.zeros(3)), DISTANCE_CM, 1.0, np.zeros(2))
    rest = studio.model.shape(identity, {})
    points = points_in_picture(studio.paths, rest, camera.project)
    low, high = points.min(0), points.max(0)
    return _Person(
        (seed, person),
        identity,
        random_look(rng),
        linear(muted(rng)),
        float((high - low).max()),
        (low + high) / 2,
    )


class _Stage:
    """One picture while it is drawn, at twice its size."""

    def __init__(self, studio: FaceStudio, scene: NDArray[np.float32], light: Light) -> None:
        self._studio = studio
        self._light = light
        self.scene = scene
        self._drawn: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []  # points and pose
        self._hides: list[Mask] = []  # of each face, then of each bar, (2 H, 2 W)

    def enter(self, person: _Person, key: Key) -> None:
        """Draw a person in front of what is there."""
        height, width = self.scene.shape[:2]
        pose = np.radians((key.yaw, key.pitch, key.roll))
        scale = key.size * height / person.extent_cm
        centre = np.array((key.x * width, key.y * height)) - scale * person.middle_cm
        camera = Camera(rotation(pose), DISTANCE_CM, scale, centre)
        head = self._studio.model.shape(person.identity, _expression(key))
        points = points_in_picture(
            self._studio.paths, head, camera.project, lean=camera.lean, ahead=camera.ahead
        )
        rng = np.random.default_rng((*person.seed, 3))  # the same skin, hair and noise every time
        worn = random_pieces(self._studio.model, head, person.look, rng)
        pieces = head_pieces(self._studio.model, head) + worn
        lit_cloth = person.cloth * (self._light.ambient[0] + 0.4 * self._light.lamp_colour)
        draw_shoulders(self.scene, camera.project(NECK), camera.lean, scale, lit_cloth)
        paint = Paint(person.look, self._light, person.cloth, rng)
        pixels, colours = paint_head(self._studio, pieces, camera, (height, width), paint)
        self.scene.reshape(-1, 3)[pixels] = colours
        hides = np.zeros(height * width, np.bool_)
        hides[pixels] = True
        self._hides.append(hides.reshape(height, width))
        self._drawn.append((points, pose))

    def cover(self, bar: Bar, colour: NDArray[np.float32]) -> None:
        """Draw a bar in front of everything."""
        height, width = self.scene.shape[:2]
        rows = slice(round(bar.top * height), round(bar.bottom * height))
        columns = slice(round(bar.left * width), round(bar.right * width))
        self.scene[rows, columns] = colour
        hides = np.zeros((height, width), np.bool_)
        hides[rows, columns] = True
        self._hides.append(hides)

    def faces(self, actors: Sequence[Actor]) -> tuple[ActedFace, ...]:
        """What became of each actor."""
        height, width = self.scene.shape[:2]
        found = []
        for k, (actor, (points, pose)) in enumerate(zip(actors, self._drawn, strict=True)):
            inside = np.asarray(((points >= 0) & (points < (width, height))).all(1))
            column, row = np.where(inside[:, None], points, 0).astype(int).T
            covered = np.zeros(len(points), np.bool_)
            for hides in self._hides[k + 1 :]:
                covered |= inside & hides[row, column]
            exact = (points / 2).astype(np.float32)
            found.append(ActedFace(actor.person, exact, pose.astype(np.float32), inside, covered))
        return tuple(found)


def _expression(key: Key) -> dict[str, float]:
    """Blendshape coefficients."""
    return {
        "jawOpen": 0.7 * key.jaw,
        "eyeBlink_L": key.lids,
        "eyeBlink_R": key.lids,
        "mouthSmile_L": key.smile,
        "mouthSmile_R": key.smile,
    }
