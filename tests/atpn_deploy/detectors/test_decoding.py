"""Tensors that were written by hand, and the boxes that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.detectors import blazeface, ulfg, yunet
from atpn_deploy.detectors.blazeface import BLAZEFACE
from atpn_deploy.detectors.face_network import NetworkDetector, letterbox
from atpn_deploy.detectors.network_file import FileTensor
from atpn_deploy.detectors.ulfg import ULFG
from atpn_deploy.detectors.yunet import YUNET
from atpn_deploy.errors import DetectorError

pytestmark = pytest.mark.needs("opencv")


def yunet_answer(width: int, height: int) -> dict[str, np.ndarray]:
    """No face: all tensors zero."""
    return {
        f"{kind}_{stride}": np.zeros((1, width * height // stride**2, length), np.float32)
        for stride in (8, 16, 32)
        for kind, length in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    }


def test_a_yunet_cell_is_read():
    answer = yunet_answer(96, 64)
    cell = 2 * (96 // 16) + 3  # row 2, column 3 of the grid of 16 pixels
    answer["cls_16"][0, cell], answer["obj_16"][0, cell] = 0.81, 0.49
    answer["bbox_16"][0, cell] = (0.25, -0.5, np.log(2), np.log(3))

    boxes, scores = yunet.decode(answer, (96, 64))

    assert len(boxes) == len(scores) == 96 + 24 + 6
    assert np.flatnonzero(scores).tolist() == [96 + cell]
    assert scores[96 + cell] == pytest.approx(0.63)  # the root of 0.81 * 0.49
    assert boxes[96 + cell] == pytest.approx((3.25 * 16, 1.5 * 16, 32, 48))


def test_yunet_probabilities_beyond_their_range_are_clipped():
    answer = yunet_answer(32, 32)
    answer["cls_32"][0, 0], answer["obj_32"][0, 0] = 1.5, 1.2
    answer["cls_8"][0, 0], answer["obj_8"][0, 0] = -1, -1

    _, scores = yunet.decode(answer, (32, 32))

    assert scores.max() == 1
    assert scores[0] == 0


def test_yunet_proposes_the_contract_square_of_a_planted_face(written):
    answer = yunet_answer(64, 64)
    for cell, score in ((27, 0.9), (28, 0.6), (5, 0.29)):  # one face seen twice, and a doubt
        answer["cls_8"][0, cell] = answer["obj_8"][0, cell] = score
        answer["bbox_8"][0, cell] = (0.5 + 27 - cell, 0.5, np.log(3), np.log(4))
    network = written((FileTensor("input", (1, 3, 64, 64)),), answer)
    image = np.zeros((128, 256, 3), np.uint8)
    image[:, :, 0] = 200

    (box,) = NetworkDetector(YUNET, network).propose(image)

    size = np.sqrt(24 * 32) * 4  # the window is a quarter of the photograph
    x, y = 4 * 3.5 * 8, 4 * 3.5 * 8 + YUNET.placement.down * size
    assert box.side == pytest.approx(YUNET.placement.scale * size)
    assert (box.left + box.side / 2, box.top + box.side / 2) == pytest.approx((x, y))
    assert network.given.shape == (1, 3, 64, 64)
    assert network.given.dtype == np.float32
    assert network.given[0, :, 10, 10].tolist() == [0, 0, 200]  # B, G, R
    assert network.given[0, :, 40, 10].tolist() == [0, 0, 0]  # below the photograph


def test_blazeface_has_its_896_anchors():
    anchors = blazeface.anchors((128, 128))

    assert anchors.shape == (896, 2)
    assert anchors[:3].tolist() == [[4, 4], [4, 4], [12, 4]]  # two a cell of 8 pixels
    assert anchors[510:513].tolist() == [[124, 124], [124, 124], [8, 8]]
    assert anchors[-6:].tolist() == [[120, 120]] * 6  # six a cell of 16


def blazeface_answer() -> dict[str, np.ndarray]:
    """No face: all logits are far below zero."""
    return {
        "regressors": np.zeros((1, 896, 16), np.float32),
        "classificators": np.full((1, 896, 1), -200, np.float32),
    }


def test_a_blazeface_anchor_is_read():
    answer = blazeface_answer()
    answer["regressors"][0, 512 + 6 * 9, :5] = (3, -2, 40, 50, 99)  # row 1, column 1
    answer["classificators"][0, 512 + 6 * 9] = np.log(3)

    boxes, scores = blazeface.decode(answer, (128, 128))

    assert boxes[512 + 6 * 9] == pytest.approx((24 + 3, 24 - 2, 40, 50))
    assert scores[512 + 6 * 9] == pytest.approx(0.75)
    assert scores.sum() == pytest.approx(0.75)


def test_blazeface_averages_what_lies_on_one_face(written):
    answer = blazeface_answer()
    for anchor, width, logit in ((600, 30, 20), (601, 34, 20), (0, 8, -1)):
        answer["regressors"][0, anchor, 2:4] = width
        answer["classificators"][0, anchor] = logit
    network = written(BLAZEFACE.inputs, answer)
    image = np.full((256, 64, 3), 255, np.uint8)

    (box,) = NetworkDetector(BLAZEFACE, network).propose(image)

    assert box.side == pytest.approx(BLAZEFACE.placement.scale * 32 * 2, rel=1e-6)
    assert network.given[0, 5, 5].tolist() == [1, 1, 1]
    assert network.given[0, 5, 100].tolist() == [-1, -1, -1]  # beside the photograph


def test_ulfg_has_its_4420_anchors():
    anchors = ulfg.anchors((320, 240))

    assert anchors.shape == (4420, 3)
    assert anchors[:4].tolist() == [[4, 4, 10], [4, 4, 16], [4, 4, 24], [12, 4, 10]]
    assert anchors[3600].tolist() == [8, 8, 32]
    assert anchors[-1].tolist() == [288, 224, 256]  # the last row reaches below the window


def test_a_ulfg_anchor_is_read(written):
    answer = {
        "Identity": np.zeros((1, 4420, 4), np.float32),
        "Identity_1": np.tile(np.float32((1, 0)), (1, 4420, 1)),
    }
    anchor = 3600 + 2 * (20 * 3 + 4) + 1  # row 3, column 4 of the grid of 16: 72, 56, side 48
    answer["Identity"][0, anchor] = (1, -2, 5 * np.log(0.5), 5 * np.log(2))
    answer["Identity_1"][0, anchor] = (0.1, 0.9)
    network = written(ULFG.inputs, answer)

    (box,) = NetworkDetector(ULFG, network).propose(np.full((240, 320, 3), 255, np.uint8))
    boxes, scores = ulfg.decode(answer, (320, 240))

    assert boxes[anchor] == pytest.approx((72 + 0.1 * 48, 56 - 0.2 * 48, 24, 96), rel=1e-6)
    assert scores[anchor] == pytest.approx(0.9)
    assert box.side == pytest.approx(ULFG.placement.scale * 48, rel=1e-6)
    assert network.given[0, 0, 0].tolist() == [1, 1, 1]


def test_a_window_of_open_size_is_refused(written):
    network = written((FileTensor("input", (1, 3, 0, 0)),), {})

    with pytest.raises(DetectorError, match=r"input \(1, 3, \?, \?\) leaves its size open"):
        NetworkDetector(YUNET, network)


@pytest.mark.parametrize(
    ("shape", "zoom", "filled"),
    [
        ((100, 200), 0.32, (32, 64)),
        ((20, 10), 3.2, (64, 32)),
        ((1, 1), 64, (64, 64)),
        ((4000, 3), 0.016, (64, 1)),
    ],
)
def test_the_window_holds_the_whole_image(shape, zoom, filled):
    window, found = letterbox(np.full((*shape, 3), 255, np.uint8), 64, 64)

    assert found == pytest.approx(zoom)
    assert window.shape == (64, 64, 3)
    assert (window[: filled[0], : filled[1]] == 255).all()
    assert window.sum() == 255 * 3 * filled[0] * filled[1]
