"""`python -m atpn_deploy.cli.render`: synthetic faces and videos of them, exactly labelled."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import DatasetError

if TYPE_CHECKING:
    from atpn_deploy.datasets.faces import FaceSet, Image

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SHEET_COLUMNS, SHEET_FACES = 8, 32


@app.command()
def render(
    face_model: Annotated[Path, typer.Option(help="the .npz of ICT-FaceKit's light face model")],
    output: Annotated[Path, typer.Option(help="folder for the pictures; made if absent")],
    count: Annotated[int, typer.Option(help="how many faces", min=1)] = 32,
    seed: Annotated[int, typer.Option(help="face i depends on (seed, i) alone", min=0)] = 1,
    sequence: Annotated[
        str | None,
        typer.Option(
            help="a video instead: still, motion, dash, occlusion, leaving, cuts, crossing or all"
        ),
    ] = None,
) -> None:
    """Write face00000.png, ..., labels.json and contact_sheet.png into a folder.

    With --sequence it writes A/motion/vid.avi, annot/*.pts as 300VW has them, and faces.jsonl with
    all 98 points and the pose of every face.
    """
    if sequence is not None:
        _render_sequences(face_model, output, sequence, seed)
        return
    from atpn_deploy.renderer.render import rendered_faces

    faces = rendered_faces(face_model, count, seed)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {output}: {error.strerror}") from error
    labels = []
    for index in range(count):
        name = f"face{index:05}.png"
        _write(output / name, faces.images[index])
        labels.append(_labels(faces, index, name))
    text = json.dumps({"seed": seed, "faces": labels}) + "\n"
    (output / "labels.json").write_text(text, encoding="utf-8")
    _write(output / "contact_sheet.png", contact_sheet(faces.images[:SHEET_FACES]))
    typer.echo(f"{count} faces in {output}")


def _render_sequences(face_model: Path, output: Path, name: str, seed: int) -> None:
    """One screenplay, or all of them, each into a folder of its own under its category's."""
    from atpn_deploy.renderer.screenplay import SCREENPLAYS, screenplay_named
    from atpn_deploy.renderer.sequence import rendered_sequence
    from atpn_deploy.renderer.sequence_files import write_sequence
    from atpn_deploy.renderer.studio import open_studio

    plays = list(SCREENPLAYS.values()) if name == "all" else [screenplay_named(name)]
    studio = open_studio(face_model)
    for play in plays:
        folder = output / play.category / play.name
        count, labelled = write_sequence(rendered_sequence(studio, play.shots, seed), folder)
        typer.echo(f"{count} frames, {labelled} labelled, in {folder}")


def _labels(faces: FaceSet, index: int, name: str) -> dict[str, Any]:
    """One face for labels.json: points in pixels, edge based; pose in radians."""
    return {
        "image": name,
        "points": [[round(float(c), 3) for c in point] for point in faces.points[index]],
        "yaw_pitch_roll": [round(float(angle), 6) for angle in faces.pose[index]],
    }


def contact_sheet(images: Any) -> Image:
    """Pictures of one size side by side, in rows of eight."""
    import numpy as np

    columns = min(SHEET_COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    height, width = images[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = image
    return sheet


def _write(path: Path, image: Image) -> None:
    import cv2

    try:
        written = cv2.imwrite(str(path), image[..., ::-1])
    except cv2.error as error:
        raise DatasetError(f"cannot write {path}: {error}") from error
    if not written:
        raise DatasetError(f"cannot write {path}; is there room, and may you write there?")


main = main_of(app)

if __name__ == "__main__":
    main()
