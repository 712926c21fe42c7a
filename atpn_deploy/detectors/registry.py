"""Every detector that is known, and how `--detector` names one."""

from __future__ import annotations

from pathlib import Path

from atpn_deploy.detectors.blazeface import BLAZEFACE
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.detectors.face_network import NetworkDetector
from atpn_deploy.detectors.haar import PHOTO_SIDE, VIDEO_SIDE, HaarDetector
from atpn_deploy.detectors.network_file import OPENERS, NetworkFile, open_network
from atpn_deploy.detectors.own import is_own, open_own
from atpn_deploy.detectors.ulfg import ULFG
from atpn_deploy.detectors.yunet import YUNET
from atpn_deploy.errors import DetectorError

#: The detector that comes along and needs no file.
EMBEDDED = "haar"
#: Networks that a user's file can hold.
FACE_NETWORKS = (YUNET, BLAZEFACE, ULFG)


def open_detector(text: str, *, video: bool = False, threads: int = 1) -> Detector:
    """`haar`, a file of a known network, or MODULE:FACTORY, to what proposes.

    In a `video` the cascades search at a lower resolution, so that no frame is held up for long;
    networks are the same. Raises DetectorError for what is none of the three, ArtifactError for a
    file that its runtime does not take, MissingToolError without what the detector needs.
    """
    if text == EMBEDDED:
        return HaarDetector(working_side=VIDEO_SIDE if video else PHOTO_SIDE)
    if is_own(text):
        return open_own(text)
    path = Path(text)
    if path.suffix not in OPENERS:
        raise DetectorError(
            f"--detector {text} is unknown; give {EMBEDDED}, a file that ends in "
            f"{' or '.join(OPENERS)}, or MODULE:FACTORY"
        )
    return of_network(path, open_network(path, threads))


def of_network(path: Path, network: NetworkFile) -> NetworkDetector:
    """The detector for an open file, recognised by its tensors; DetectorError for none."""
    for kind in FACE_NETWORKS:
        if kind.recognises(network):
            return NetworkDetector(kind, network)
    takes, makes = (", ".join(map(str, side)) for side in (network.inputs, network.outputs))
    known = "; ".join(kind.described() for kind in FACE_NETWORKS)
    raise DetectorError(
        f"{path} is no detector that is known: it takes {takes} and computes {makes}; known are "
        f"{known}; any other goes into a module of yours, see docs/detectors.md"
    )
