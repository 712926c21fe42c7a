"""Draw docs/tracking-filter.png: jitter, motion and a blink after each strength of the filter.

Usage: python docs/draw_filter.py MODEL.tflite

The network follows a photograph under fresh sensor noise and JPEG, at rest and shifted at 300
pixels per second; a blink of exact shape is added to its landmarks at rest. What is drawn is
printed too.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from atpn_deploy.crop import Box
from atpn_deploy.evaluation.plots import COLOURS, GREY, WIDE, styled
from atpn_deploy.faces import Face, look
from atpn_deploy.tracking.smoothing import STRENGTHS, FaceFilter
from atpn_exporters.opening import open_file
from atpn_exporters.session import Session, SessionOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

RATE = 30
SPEED_PX_S = 300
REST, MOVING, AFTER = 90, 30, 30  # frames
#: The first second is the filter's own start, and not measured.
SETTLED = 30
#: The astronaut's face in the photograph, and how large it is shown.
FACE, SIDE_PX = Box(163.0, 62.0, 120.0), 200.0
#: What is seen of the scene, pixels; the face enters on the left.
WIDTH, HEIGHT, MARGIN_PX = 720, 320, 700
NOISE, JPEG = 4.0, (75, 92)  # standard deviation of 255; range of qualities
#: How far the eyes are closed, frame by frame: a blink of a quarter of a second.
BLINK = (0.5, 1.0, 0.9, 0.7, 0.5, 0.3, 0.15)
BLINK_AT = 60
#: Upper lids and the points below them.
LIDS = {61: 67, 62: 66, 63: 65, 69: 75, 70: 74, 71: 73}
NOSE_TIP = 54
STYLES = {
    name: {"color": colour, "linewidth": width}
    for name, colour, width in zip(STRENGTHS, (GREY, *COLOURS), (1.0, 1.7, 1.7), strict=False)
}


def way_px() -> NDArray[np.int64]:
    """How far the scene has moved to the right in each frame: at rest, in motion, at rest."""
    frame_px = SPEED_PX_S // RATE
    moving = frame_px * np.arange(1, MOVING + 1)
    return np.concatenate((np.zeros(REST, int), moving, np.full(AFTER, moving[-1])))


def followed(session: Session) -> list[Face]:
    """The faces as the network sees them, each crop round the landmarks of the frame before."""
    rng = np.random.default_rng(0)
    scale = SIDE_PX / FACE.side
    scene = cv2.resize(astronaut(), None, fx=scale, fy=scale)
    scene = np.pad(scene, ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX), (0, 0)), "reflect")
    top = int(MARGIN_PX + scale * (FACE.top + FACE.side / 2) - HEIGHT / 2)
    left = int(MARGIN_PX + scale * FACE.left - 60)
    box = Box(60.0, (HEIGHT - SIDE_PX) / 2, SIDE_PX)
    faces = []
    for shift in way_px():
        frame = scene[top : top + HEIGHT, left - shift : left - shift + WIDTH]
        face = look(camera(frame, rng), box, session)
        box = face.box
        faces.append(face)
    return faces


def camera(scene: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene with the noise of a sensor and of a codec."""
    noisy = np.clip(np.rint(scene + rng.normal(0, NOISE, scene.shape)), 0, 255).astype(np.uint8)
    _, code = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG))])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def blinking(faces: list[Face]) -> list[Face]:
    """The faces at rest, with the upper lids moved down in some frames."""
    out = list(faces[:REST])
    for k, closed in enumerate(BLINK, BLINK_AT):
        points = faces[k].landmarks.copy()
        for upper, lower in LIDS.items():
            points[upper] += closed * (points[lower] - points[upper])
        out[k] = dataclasses.replace(faces[k], landmarks=points)
    return out


def filtered(faces: list[Face], strength: str) -> Floats:
    """(frames, 98, 2): the landmarks after the filter."""
    smooth = FaceFilter(strength)
    return np.array([smooth.step(face, k / RATE).landmarks for k, face in enumerate(faces)])


def opening(points: Floats) -> Floats:
    """How far the eyes are open in each frame, in % of the box's side."""
    apart = points[:, list(LIDS)] - points[:, list(LIDS.values())]
    return np.asarray(100 / SIDE_PX * np.linalg.norm(apart, axis=-1).mean(1))


def main(model: Path) -> None:
    """Write the picture beside this script, and print the figures."""
    from matplotlib.figure import Figure

    with open_file(model, SessionOptions()) as session:
        faces = followed(session)
    with styled():
        figure = Figure(figsize=(WIDE, 2.7), layout="constrained")
        panels = figure.subplots(1, 3)
        raw = filtered(faces, "off")
        for name in STRENGTHS:
            points = filtered(faces, name)
            behind = (raw - points)[..., 0].mean(1)
            eyes = opening(filtered(blinking(faces), name))
            draw(panels, name, points[:REST], behind, eyes)
            report(name, points[:REST], behind, eyes)
        finish(panels)
        figure.savefig(Path(__file__).with_name("tracking-filter.png"), dpi=130)


def draw(
    panels: NDArray[np.object_], name: str, rest: Floats, behind: Floats, eyes: Floats
) -> None:
    """One strength in all three panels; time in seconds."""
    tip = rest[SETTLED:, NOSE_TIP, 0]
    panels[0].plot(np.arange(len(tip)) / RATE, tip - tip.mean(), **STYLES[name])
    moment = np.arange(REST - 6, len(behind))
    panels[1].plot((moment - REST + 1) / RATE, behind[moment], label=name, **STYLES[name])
    moment = np.arange(BLINK_AT - 9, BLINK_AT + 21)
    panels[2].plot((moment - BLINK_AT) / RATE, eyes[moment], **STYLES[name])


def report(name: str, rest: Floats, behind: Floats, eyes: Floats) -> None:
    """The same as figures."""
    step = np.diff(rest[SETTLED:], axis=0)
    jitter = np.sqrt((step**2).sum(-1).mean())
    frames = behind * RATE / SPEED_PX_S
    moving, first = slice(REST + MOVING // 2, REST + MOVING), slice(REST, REST + 8)
    level = np.median(eyes[SETTLED:BLINK_AT])
    depth = level - eyes[BLINK_AT : BLINK_AT + len(BLINK)].min()
    print(
        f"{name}: jitter {jitter:.3f} px, steady lag {frames[moving].mean():.2f} frames, "
        f"at most {frames[first].max():.2f} at the start, blink {depth:.2f} % of the side"
    )


def finish(panels: NDArray[np.object_]) -> None:
    """Titles, units and the one legend."""
    texts = (
        ("At rest: x of the nose tip", "pixels from its mean", "seconds"),
        (f"In motion at {SPEED_PX_S} pixels/s", "pixels behind the network", "seconds of motion"),
        ("A blink", "eye opening, % of the box side", "seconds of the blink"),
    )
    for axes, (title, vertical, horizontal) in zip(panels, texts, strict=True):
        axes.set(title=title, ylabel=vertical, xlabel=horizontal)
    motion: Axes = panels[1]
    one_frame = SPEED_PX_S / RATE
    motion.axhline(one_frame, color="#000000", linewidth=0.8, linestyle=":")
    motion.text(2.0, one_frame - 0.2, "one frame", ha="right", va="top", fontsize=8)
    motion.legend(loc="center right")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python docs/draw_filter.py MODEL.tflite")
    main(Path(sys.argv[1]))
