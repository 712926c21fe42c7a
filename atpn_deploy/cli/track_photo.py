"""atpn-track on a photograph: its faces found, drawn, printed and cut out."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atpn_deploy.delivery import STDOUT, check_file, deliver, deliver_text
from atpn_deploy.errors import ArtifactError, ConfigError, ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from atpn_deploy.detectors.detector import Detector
    from atpn_deploy.faces import Face

#: Exit status when the input was read and no face was found; 0 and 2 mean what they always do.
NO_FACE = 3
#: What `--output` can end in.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class PhotoJob:
    """What was typed."""

    photo: Path
    model: Path
    output: Path | None
    json: Path | None
    crops: Path | None
    threshold: float
    max_faces: int | None
    detector: str
    boxes: Path | None
    runtime: str
    threads: int
    force: bool


def track_photo(job: PhotoJob) -> None:
    """Find the faces, write what was asked for, and exit with NO_FACE where there is none."""
    _check_outputs(job)

    from atpn_deploy.photo import read_photo
    from atpn_exporters.artifact_files import sha256_of

    image = read_photo(job.photo)
    faces, ran_on = _find(image, job)
    if job.crops is not None:
        _write_crops(image, faces, job)
    if job.output is not None:
        _write_picture(image, faces, job.output)
    if job.json is not None:
        from atpn_deploy.face_values import face_values

        facts = {
            "photo": job.photo.name,
            "width": image.shape[1],
            "height": image.shape[0],
            "model": {"file": job.model.name, "sha256": sha256_of(job.model), "runtime": ran_on},
            "threshold": job.threshold,
            "faces": [face_values(face) for face in faces],
        }
        deliver_text(job.json, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if not faces:
        print(f"no face found in {job.photo} above confidence {job.threshold:g}", file=sys.stderr)
        raise typer.Exit(NO_FACE)
    if job.output is not None and job.json != STDOUT:
        number = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
        print(f"{number} in {job.photo}; wrote {job.output}")


def _find(image: NDArray[np.uint8], job: PhotoJob) -> tuple[list[Face], str]:
    """The faces, and the runtime that found them."""
    from atpn_deploy.detectors.given import read_boxes
    from atpn_deploy.detectors.registry import open_detector
    from atpn_deploy.faces import find_faces
    from atpn_exporters.opening import open_file
    from atpn_exporters.session import SessionOptions

    if job.boxes is not None:
        detector: Detector = read_boxes(job.boxes)
    else:
        detector = open_detector(job.detector, threads=job.threads)
    options = SessionOptions(runtime=job.runtime, threads=job.threads)
    with open_file(job.model, options) as session:
        try:
            faces = find_faces(
                image, session, detector, threshold=job.threshold, max_faces=job.max_faces
            )
        except ArtifactError as error:
            raise ArtifactError(f"{job.model}: {error}") from error
        return faces, session.runtime


def _check_outputs(job: PhotoJob) -> None:
    """Refuse what could not be written before anything is computed."""
    output, json_ = job.output, job.json
    if output is None and json_ is None and job.crops is None:
        raise ConfigError("nothing to write; give --output FILE, --json FILE (or -) or --crops DIR")
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"--output {output} ends in {output.suffix or 'nothing'!r}; "
            f"expected one of {' '.join(SUFFIXES)}"
        )
    if output is not None and output == json_:
        raise ConfigError(f"--output and --json are the same file, {output}")
    for path in (output, json_):
        if path is not None and path != STDOUT:
            check_file(path, source=job.photo, force=job.force)


def _write_picture(image: NDArray[np.uint8], faces: list[Face], output: Path) -> None:
    from atpn_deploy.draw import annotate
    from atpn_deploy.photo import write_photo

    deliver(output, partial(write_photo, annotate(image, faces)))


def _write_crops(image: NDArray[np.uint8], faces: list[Face], job: PhotoJob) -> None:
    """One PNG a face, named after the photograph; PNG because calibration wants exact bytes."""
    from atpn_deploy.crop import cut
    from atpn_deploy.photo import write_photo

    folder = job.crops
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder} cannot be made: {error.strerror}") from error
    paths = [folder / f"{job.photo.stem}-{number:02d}.png" for number in range(1, len(faces) + 1)]
    for path in paths:
        if path.exists() and not job.force:
            raise ConfigError(f"{path} exists; add --force to overwrite it")
    for path, face in zip(paths, faces, strict=True):
        deliver(path, partial(write_photo, cut(image, face.box)))
