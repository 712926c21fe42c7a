"""The pack of photographs without faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from atpn_deploy.datasets.faces import Image
from atpn_deploy.datasets.images import Cached, ZipImages, open_zip
from atpn_deploy.datasets.scenes import Scenes, background_crops

#: Crops of each photograph; together some 2,000.
PER_IMAGE = 16


def bsds_backgrounds(data: Path, *, seed: int = 0) -> Sequence[Image]:
    """1,392 crops, 112x112, of 87 photographs of BSDS500 (research only)."""
    return _crops(data / "negatives" / "bsds500_noface.zip", seed)


def permissive_backgrounds(data: Path, *, seed: int = 0) -> Sequence[Image]:
    """624 crops, 112x112, of 39 photographs under permissive licences."""
    return _crops(data / "negatives" / "permissive_noface.zip", seed)


def _crops(archive: Path, seed: int) -> Sequence[Image]:
    with open_zip(archive) as opened:
        members = sorted(name for name in opened.namelist() if not name.endswith("/"))
    count = len(members)
    scenes = Scenes(
        Cached(ZipImages(archive, members)),
        (np.zeros((0, 4), np.float32),) * count,
        (np.zeros(0, np.bool_),) * count,
        ((),) * count,
    )
    return background_crops(scenes, seed=seed, per_image=PER_IMAGE)
