"""Draw docs/hard_faces.png: what the shipped atpn-lite says of the golden crops that show a face.

Usage: python docs/draw_hard_faces.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import Box
from atpn_deploy.evaluation.sheet import Section, SheetFace, caption_of, contact_sheet
from atpn_deploy.faces import Face
from atpn_deploy.golden import golden_folder, read_manifest
from atpn_deploy.metrics import normalised_mean_error
from atpn_deploy.weights import predictor, shipped


def main() -> None:
    """Predict, and draw the photograph's and the renders' sections."""
    crops = np.load(golden_folder() / "images.npy", allow_pickle=False)
    entries = read_manifest(golden_folder())["crops"]
    outputs = predictor(shipped("atpn-lite").load())(crops)
    sections: dict[bool, list[SheetFace]] = {True: [], False: []}
    for index, entry in enumerate(entries):
        if not entry["face"]:
            continue
        landmarks = outputs["landmarks"][index].astype(np.float64)
        confidence = float(outputs["confidence"][index, 0])
        error = None
        if "landmarks" in entry:
            error = float(normalised_mean_error(landmarks, np.array(entry["landmarks"])))
        square = Box(0, 0, CROP_SIDE)
        face = Face(square, landmarks * CROP_SIDE, outputs["pose"][index], confidence)
        cell = SheetFace(crops[index], face, caption_of(error, confidence))
        sections["render" in entry].append(cell)
    sheet = contact_sheet(
        [
            Section("A photograph, turned, lit, blurred and covered", tuple(sections[False])),
            Section("Renders, with the error against their exact points", tuple(sections[True])),
        ],
        columns=6,
        side=150,
    )
    target = Path(__file__).with_name("hard_faces.png")
    Image.fromarray(sheet).quantize(128).save(target, optimize=True)


if __name__ == "__main__":
    main()
