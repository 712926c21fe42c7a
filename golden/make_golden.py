"""Write the golden tensors: crops that may be redistributed, and what the reference makes of them.

Run by hand, in a commit of its own: `python golden/make_golden.py [--face-model FILE]`. Tests only
ever read. The photograph is scikit-image's astronaut (NASA, public domain); the renders are made
from ICT-FaceKit's face model (MIT licence), or kept as they are where its file is not given; all
else is drawn here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from skimage import data

from atpn_deploy.config import CONFIGS
from atpn_deploy.contract import CROP_SIDE, OUTPUTS
from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.errors import GoldenError
from atpn_deploy.golden import read_manifest
from atpn_deploy.renderer.render import render_face
from atpn_deploy.renderer.studio import open_studio
from atpn_deploy.weights import predictor, shipped

FOLDER = Path(__file__).parent
#: The contract's square round the astronaut's 98 points, in pixels of the 512x512 photograph.
FACE = Box(left=152.0, top=62.0, side=141.0)

#: Synthetic faces: seed, which decides skin and light, and (yaw, pitch, roll) in degrees.
RENDERS: tuple[tuple[int, tuple[int, int, int]], ...] = (
    (101, (0, 0, 0)), (102, (-20, 5, 0)), (103, (25, -10, 8)), (104, (-40, 0, -10)),
    (105, (45, 10, 0)), (106, (-60, -5, 0)), (107, (60, 0, 12)), (108, (-85, 0, 0)),
    (109, (85, -8, 0)), (110, (0, 25, 0)), (111, (10, -25, -5)), (112, (-10, 0, 30)),
)  # fmt: skip

Image = NDArray[np.uint8]


def turned(photo: Image, degrees: float) -> Image:
    """The photograph turned about the middle of the face."""
    centre = (FACE.left + FACE.side / 2, FACE.top + FACE.side / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
    height, width = photo.shape[:2]
    return np.asarray(
        cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def moved(right: float, down: float, scale: float = 1.0) -> Box:
    """The face's square, shifted by shares of its side and scaled about its middle."""
    side = FACE.side * scale
    shift = (FACE.side - side) / 2
    return Box(FACE.left + shift + right * FACE.side, FACE.top + shift + down * FACE.side, side)


def lit(crop: Image, gain: float, gamma: float = 1.0) -> Image:
    """Brighter or darker."""
    levels = 255 * np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1)
    return levels.astype(np.uint8)[crop]


def faces() -> Iterator[tuple[str, Image]]:
    """The astronaut in many ways; every crop shows her face."""
    photo = np.asarray(data.astronaut(), np.uint8)
    exact = cut(photo, FACE)
    yield "face", exact
    for degrees in (-30, -15, 15, 30):
        yield f"face turned {degrees} degrees", cut(turned(photo, degrees), FACE)
    yield "face mirrored", exact[:, ::-1]
    yield "face left of the middle", cut(photo, moved(0.07, 0))
    yield "face below the middle", cut(photo, moved(0, -0.07))
    yield "face small", cut(photo, moved(0, 0, 1.2))
    yield "face large", cut(photo, moved(0, 0, 0.88))
    yield "face dark", lit(exact, 0.45)
    yield "face bright", lit(exact, 1.5)
    yield "face in low contrast", lit(exact, 0.8, gamma=0.5)
    yield "face under warm light", lit(exact, 1.0) // np.array([1, 1, 2], np.uint8)
    yield "face in grey", np.repeat(exact.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    yield "face blurred", np.asarray(cv2.GaussianBlur(exact, (0, 0), 1.6), np.uint8)
    small = cv2.resize(exact, (40, 40), interpolation=cv2.INTER_AREA)
    yield "face from 40 pixels", np.asarray(cv2.resize(small, (112, 112)), np.uint8)
    grain = np.random.default_rng(1).normal(0, 14, exact.shape)
    yield "face with noise", np.clip(exact + grain, 0, 255).astype(np.uint8)
    covered = exact.copy()
    covered[70:, :] = 128
    yield "face with the mouth covered", covered


def new_renders(model_file: Path) -> Iterator[tuple[Image, dict[str, Any]]]:
    """Synthetic faces as the contract's crop frames them, and their entries in the manifest."""
    studio = open_studio(model_file)
    for seed, pose_deg in RENDERS:
        pose = np.radians(np.array(pose_deg, np.float64))
        face = render_face(studio, np.random.default_rng((seed, 0)), (), pose)
        box = box_around(face.points)
        points = np.round(box.from_image(face.points), 5)
        yield (
            cut(face.image, box),
            {
                "name": f"render {seed}, yaw {pose_deg[0]} degrees",
                "face": True,
                "render": True,
                "landmarks": points.tolist(),
                "pose": np.round(pose, 6).tolist(),
            },
        )


def kept_renders(folder: Path) -> Iterator[tuple[Image, dict[str, Any]]]:
    """The renders that a folder of goldens already holds; none where it holds none."""
    try:
        manifest = read_manifest(folder)
    except (OSError, GoldenError) as error:
        raise SystemExit(f"{error}; give --face-model FILE to make the renders anew") from error
    images = np.load(folder / "images.npy", allow_pickle=False)
    for image, entry in zip(images, manifest["crops"], strict=True):
        if entry.get("render"):
            yield image, entry


def no_faces() -> Iterator[tuple[str, Image]]:
    """Crops without a face, most of which no camera would give."""
    shape = (CROP_SIDE, CROP_SIDE, 3)
    photo = np.asarray(data.astronaut(), np.uint8)
    yield "flag of the astronaut photograph", cut(photo, Box(0, 250, 120))
    yield "rocket of the astronaut photograph", cut(photo, Box(370, 40, 140))
    yield "black", np.zeros(shape, np.uint8)
    yield "nearly white", np.full(shape, 250, np.uint8)
    yield "grey", np.full(shape, 96, np.uint8)
    yield "noise", np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    row, column = np.mgrid[:CROP_SIDE, :CROP_SIDE]
    checks = 96 + 64 * ((row // 8 + column // 8) % 2)
    yield "checkerboard", np.broadcast_to(checks[..., None], shape).astype(np.uint8)
    ramp = np.stack((40 + row, 150 - column, 80 + row // 2), -1)
    yield "ramps", np.clip(ramp, 0, 255).astype(np.uint8)
    waves = 128 + 60 * np.sin((row + 2 * column) / 9)
    yield "waves", np.broadcast_to(waves[..., None], shape).astype(np.uint8)


#: A crop on which float32 PyTorch itself is further than this from double precision, in pixels,
#: cannot hold other float files to 1e-4: a black and white checkerboard was one, its landmarks lay
#: 27 crops outside.
WELL_CONDITIONED_PX = 3e-5


def _check_conditioning(single: NDArray[np.float32], double: NDArray[np.float32]) -> None:
    """Stop if a crop cannot serve as a golden."""
    error = CROP_SIDE * np.abs(single.astype(np.float64) - double).max((1, 2))
    if not error.max() <= WELL_CONDITIONED_PX:
        raise SystemExit(f"crop {int(error.argmax())} is ill conditioned: {error.max():.2g} px")


def all_crops(face_model: Path | None) -> Iterator[tuple[Image, dict[str, Any]]]:
    """Every crop with its entry in the manifest; a render's holds its exact landmarks and pose.

    Landmarks are fractions of the crop's side, the pose is (yaw, pitch, roll) in radians.
    """
    for name, image in faces():
        yield image, {"name": name, "face": True}
    yield from new_renders(face_model) if face_model else kept_renders(FOLDER)
    for name, image in no_faces():
        yield image, {"name": name, "face": False}


def main() -> None:
    """Write images, outputs and the manifest."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--face-model", type=Path, help="make the renders anew from this .npz")
    crops = list(all_crops(parser.parse_args().face_model))
    images = np.stack([np.ascontiguousarray(image) for image, _ in crops])
    np.save(FOLDER / "images.npy", images)
    models = {}
    files = ["images.npy"]
    for name in CONFIGS:
        checkpoint = shipped(name)
        outputs = predictor(checkpoint.load().double())(images)
        _check_conditioning(predictor(checkpoint.load())(images)["landmarks"], outputs["landmarks"])
        (FOLDER / name).mkdir(exist_ok=True)
        for spec in OUTPUTS:
            np.save(FOLDER / name / f"{spec.name}.npy", outputs[spec.name])
            files.append(f"{name}/{spec.name}.npy")
        models[name] = {"checkpoint_sha256": checkpoint.sha256}
    manifest = {
        "made_by": "golden/make_golden.py",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "scikit-image": skimage.__version__,
        },
        "precision": "double, rounded to float32",
        "source": "scikit-image's astronaut (NASA, public domain), renders of ICT-FaceKit's face "
        "model (MIT licence) and patterns drawn by the script",
        "crops": [entry for _, entry in crops],
        "models": models,
        # Filled by golden/make_kernel_golden.py: they need exported files.
        "kernel_goldens": [],
        "sha256": {
            name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files
        },
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
