"""Face sets of one markup as another: 68 points as 98, 98 as 68, boxes alone as either."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from atpn_deploy.datasets.faces import FaceSet
from atpn_deploy.errors import DatasetError
from atpn_deploy.landmarks import POINTS_68_OF_98, as_68

#: Of 300W's 68 points those on the eyelids, which WFLW has only neighbours of.
LIDS = (37, 38, 40, 41, 43, 44, 46, 47)


def as_points(faces: FaceSet, count: int) -> FaceSet:
    """The same faces with `count` points each, 98 or 68.

    Of 68 points sixty become the WFLW points that they are; the other 38 get weight 0. Of 98, 68
    are taken. Faces without points get points of weight 0. Where the weight is 0 a point lies at
    the centre of the face's box.
    """
    came = faces.points.shape[1]
    if came == count:
        return faces
    if (came, count) == (98, 68):
        weights = faces.weights[:, list(POINTS_68_OF_98)]
        return replace(faces, points=as_68(faces.points).astype(np.float32), weights=weights)
    if count not in (68, 98) or came not in (0, 68):
        raise DatasetError(f"{came} points can't be turned into {count}; 98 and 68 are known")
    centres = (faces.boxes[:, None, :2] + faces.boxes[:, None, 2:]) / 2  # (N, 1, 2)
    points = np.repeat(centres, count, 1).astype(np.float32)
    weights = np.zeros((len(faces), count), np.float32)
    if came == 68:
        shared = [k for k in range(68) if k not in LIDS]
        places = [POINTS_68_OF_98[k] for k in shared]
        weights[:, places] = faces.weights[:, shared]
        known = weights[..., None] > 0
        placed = points.copy()
        placed[:, places] = faces.points[:, shared]
        points = np.where(known, placed, points)
    return replace(faces, points=points, weights=weights)
