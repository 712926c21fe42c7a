"""The pack of AFLW crops with 68 points marked by hand, visibility and pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import FaceSet, boxes_of
from atpn_deploy.datasets.labels import known_points
from atpn_deploy.datasets.packs import read_labels, row_names, zip_images


def merl68(data: Path) -> FaceSet:
    """6,980 AFLW faces with the 68 points of MERL-RAV; those behind the head itself have weight 0.

    The pose is that of train98, which corrects 36 rows, where that pack is there too. By its
    convention the points differ from WFLW's where the two have the same name: the bridge of the
    nose by 2.4 % of the face, the upper jaw by 2 to 3 %, the inner lip by 4 to 5 %.
    """
    path = data / "aflw_merlrav68" / "labels.npz"
    labels = read_labels(path)
    images = labels["image"]
    points = labels["pts68"].astype(np.float32)
    known = known_points(points)
    boxes = boxes_of(points, known.astype(np.float32))
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    pose = labels["aflw_yaw_pitch_negroll_deg"] * np.array((1, 1, -1))
    corrected = data / "train98" / "aflw_labels.npz"
    if corrected.is_file():
        better = read_labels(corrected)
        rows = {str(image): row for row, image in enumerate(better["image"])}
        for index, image in enumerate(images):
            if (row := rows.get(str(image))) is not None:
                pose[index] = better["yaw_pitch_roll_deg"][row]
    return FaceSet(
        images=zip_images(data / "aflw_merlrav68" / "images.zip", images),
        boxes=boxes,
        points=np.where(known[..., None], points, centres).astype(np.float32),
        weights=known.astype(np.float32),
        pose=np.radians(pose).astype(np.float32),
        names=row_names(path, np.arange(len(images)), images),
    )
