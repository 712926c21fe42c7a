"""The pack of London studio portraits (CC BY 4.0): 189 points of a template by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import FaceSet, boxes_of, unknown_pose
from atpn_deploy.datasets.packs import read_labels, row_names, zip_images

#: WFLW point to template point, for the forty that name the same spot: chin, corners of the brows,
#: base of the nose, eyes with lids, mouth, pupils. Between them and the points that a trained ATPN
#: finds on the 102 faces the mean offset is 0 to 5 % of the inter-ocular distance. The template's
#: other points on jaw, brows and nose divide the same lines elsewhere, 5 to 7 % away.
POINTS_OF_98 = {
    16: 129,
    **{33: 71, 37: 75, 38: 76, 42: 78, 46: 82, 50: 77},
    57: 55,
    **{60: 18, 61: 19, 62: 20, 63: 21, 64: 22, 65: 30, 66: 29, 67: 28},
    **{68: 23, 69: 24, 70: 25, 71: 26, 72: 27, 73: 33, 74: 32, 75: 31},
    **{76: 87, 77: 88, 78: 89, 79: 90, 80: 91, 81: 92, 82: 93},
    **{83: 108, 84: 107, 85: 106, 86: 105, 87: 104, 90: 96, 94: 101},
    **{96: 0, 97: 1},
}

#: Template points of the brows' upper edges and of the face's contour: what WFLW's box reaches to.
BOX_POINTS = (*range(71, 83), *range(109, 115), *range(125, 134), *range(185, 189))


def london(data: Path) -> FaceSet:
    """102 frontal neutral faces: forty of the 98 points, the others have weight 0."""
    path = data / "london_ccby" / "neutral_templates189.npz"
    labels = read_labels(path)
    template = labels["pts189"].astype(np.float32)
    count = len(template)
    on_border = template[:, BOX_POINTS]
    boxes = boxes_of(on_border, np.ones(on_border.shape[:2], np.float32))
    points = np.repeat(((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None], 98, 1)
    weights = np.zeros((count, 98), np.float32)
    points[:, list(POINTS_OF_98)] = template[:, list(POINTS_OF_98.values())]
    weights[:, list(POINTS_OF_98)] = 1
    return FaceSet(
        images=zip_images(data / "london_ccby" / "images448.zip", labels["image"]),
        boxes=boxes,
        points=points.astype(np.float32),
        weights=weights,
        pose=unknown_pose(count),
        names=row_names(path, np.arange(count), labels["image"]),
    )
