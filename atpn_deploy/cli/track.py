"""atpn-track: the faces of a photograph, found and drawn by an exported file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.errors import ArtifactError, ConfigError, ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from atpn_deploy.faces import Face

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Exit status when the photograph was read and no face was found; 0 and 2 mean what they always do.
NO_FACE = 3


@app.command()
def track(
    photo: Annotated[
        Path, typer.Argument(help="JPEG, PNG, WebP, BMP, TIFF or GIF", metavar="PHOTO")
    ],
    model: Annotated[Path, typer.Option(help="an exported file with all three tasks")],
    output: Annotated[
        Path | None, typer.Option(help="the photograph with every face drawn in (.png, .jpg, ...)")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option("--json", help="landmarks, pose and confidence of each face; - prints them"),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="folder for each face's 112x112 crop, as calibration images", metavar="DIR"
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="keep faces above this confidence", min=0.0, max=1.0)
    ] = CONFIDENCE_THRESHOLD,
    max_faces: Annotated[
        int | None, typer.Option(help="keep at most so many, the largest", min=1)
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
) -> None:
    """Find the faces of PHOTO, align them, and draw or print what was found.

    Give at least one of --output, --json and --crops. Exit status: 0 one face or more; 3 no face
    found (what was asked for is still written, without faces); 2 anything else.
    """
    _check_outputs(photo, output, json_, crops, force)

    from atpn_deploy.detector import HaarDetector
    from atpn_deploy.faces import find_faces
    from atpn_deploy.photo import read_photo
    from atpn_exporters.artifact_files import sha256_of
    from atpn_exporters.opening import open_file
    from atpn_exporters.session import SessionOptions

    image = read_photo(photo)
    detector = HaarDetector()
    with open_file(model, SessionOptions(runtime=runtime)) as session:
        try:
            faces = find_faces(image, session, detector, threshold=threshold, max_faces=max_faces)
        except ArtifactError as error:
            raise ArtifactError(f"{model}: {error}") from error
        ran_on = session.runtime
    if crops is not None:
        _write_crops(image, faces, photo, crops, force)
    if output is not None:
        _write_picture(image, faces, output)
    if json_ is not None:
        facts = {
            "photo": photo.name,
            "width": image.shape[1],
            "height": image.shape[0],
            "model": {"file": model.name, "sha256": sha256_of(model), "runtime": ran_on},
            "threshold": threshold,
            "faces": [describe(face) for face in faces],
        }
        _write_json(facts, json_)
    if not faces:
        print(f"no face found in {photo} above confidence {threshold:g}", file=sys.stderr)
        raise typer.Exit(NO_FACE)
    if output is not None and json_ != Path("-"):
        number = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
        print(f"{number} in {photo}; wrote {output}")


def describe(face: Face) -> dict[str, Any]:
    """A face as plain values: pixels of the upright photograph, degrees, probability."""
    import numpy as np

    angles = np.degrees(face.pose)
    return {
        "confidence": round(face.confidence, 4),
        "box": {
            "left": round(face.box.left, 2),
            "top": round(face.box.top, 2),
            "side": round(face.box.side, 2),
        },
        "pose_degrees": {
            name: round(float(angle), 2)
            for name, angle in zip(("yaw", "pitch", "roll"), angles, strict=True)
        },
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in face.landmarks],
    }


def _check_outputs(
    photo: Path, output: Path | None, json_: Path | None, crops: Path | None, force: bool
) -> None:
    """Refuse what could not be written before anything is computed."""
    if output is None and json_ is None and crops is None:
        raise ConfigError("nothing to write; give --output FILE, --json FILE (or -) or --crops DIR")
    files = [path for path in (output, json_) if path is not None and path != Path("-")]
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"--output {output} ends in {output.suffix or 'nothing'!r}; "
            f"expected one of {' '.join(SUFFIXES)}"
        )
    if output is not None and output == json_:
        raise ConfigError(f"--output and --json are the same file, {output}")
    for path in files:
        if path.exists() and photo.exists() and path.samefile(photo):
            raise ConfigError(f"{path} is the photograph itself; name another file")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; expected a file name")
        if not path.parent.is_dir():
            raise ConfigError(f"{path.parent} is not a folder; make it first")
        if not os.access(path.parent, os.W_OK):
            raise ConfigError(f"{path.parent} is not writable; {path.name} cannot be put there")
        if path.exists() and not force:
            raise ConfigError(f"{path} exists; add --force to overwrite it")


#: What `--output` can end in.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def _deliver(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file aside, then rename it to `path`; nothing half-written is left."""
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(aside)
        aside.replace(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _write_picture(image: NDArray[np.uint8], faces: list[Face], output: Path) -> None:
    from atpn_deploy.draw import annotate
    from atpn_deploy.photo import write_photo

    picture = annotate(image, faces)
    _deliver(output, partial(write_photo, picture))


def _write_json(facts: dict[str, Any], path: Path) -> None:
    text = json.dumps(facts, indent=1, allow_nan=False) + "\n"
    if path == Path("-"):
        sys.stdout.write(text)
    else:
        _deliver(path, partial(_write_text, text))


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _write_crops(
    image: NDArray[np.uint8], faces: list[Face], photo: Path, folder: Path, force: bool
) -> None:
    """One PNG a face, named after the photograph; PNG because calibration wants exact bytes."""
    from atpn_deploy.crop import cut
    from atpn_deploy.photo import write_photo

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder} cannot be made: {error.strerror}") from error
    paths = [folder / f"{photo.stem}-{number:02d}.png" for number in range(1, len(faces) + 1)]
    for path in paths:
        if path.exists() and not force:
            raise ConfigError(f"{path} exists; add --force to overwrite it")
    for path, face in zip(paths, faces, strict=True):
        _deliver(path, partial(write_photo, cut(image, face.box)))


main = main_of(app)


if __name__ == "__main__":
    main()
