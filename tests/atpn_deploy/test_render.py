from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.cli.render import main
from atpn_deploy.errors import DatasetError
from atpn_deploy.mean_shape import mean_shape, mirror_map
from atpn_deploy.pose import axes, rotation
from atpn_deploy.renderer.behaviour import random_expression, random_pose
from atpn_deploy.renderer.camera import PIVOT, REST_PITCH, Camera
from atpn_deploy.renderer.face_model import VERTEX_COUNT, load_face_model
from atpn_deploy.renderer.face_points import evenly_spaced, points_in_picture
from atpn_deploy.renderer.render import SIDE, render_face, rendered, rendered_faces
from atpn_deploy.renderer.studio import FaceStudio, open_studio

pytestmark = [pytest.mark.needs("torch"), pytest.mark.needs("opencv")]

MIRROR = np.array(mirror_map(98))
FACE_SIDE = 97  # the model's face has 97 x 97 vertices
PAIRED = (
    *("browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink"),
    *("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide"),
    *("mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile"),
    *("mouthStretch", "mouthUpperUp", "noseSneer"),
)
NAMES = (
    *(f"{name}{side}" for name in PAIRED for side in ("_L", "_R")),
    *("jawLeft", "jawOpen", "jawRight", "mouthFunnel", "mouthLeft", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower"),
)


def egg(angle, height):
    """Points of an egg with a nose, cm."""
    radius = 9 * np.sqrt(np.clip(1 - ((height - 1.5) / 16) ** 2, 0.01, 1))
    nose = 2.5 * np.exp(-((angle / 0.12) ** 2) - ((height - 0.5) / 1.5) ** 2)
    depth = 2 + (radius + nose) * np.cos(angle)
    return np.stack((0.85 * radius * np.sin(angle), height, depth), -1)


def quads(rows: int, columns: int, start: int):
    """Triangles of a grid of vertices, counter-clockwise seen from outside."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel() + start
    one = np.stack((corner, corner + columns + 1, corner + 1), 1)
    return np.concatenate((one, np.stack((corner, corner + columns, corner + columns + 1), 1)))


def egg_arrays() -> dict[str, np.ndarray]:
    """An egg in the layout of the model file: all its vertices, few of its triangles."""
    angle, height = np.meshgrid(np.linspace(-2, 2, FACE_SIDE), np.linspace(14, -12, FACE_SIDE))
    back, level = np.meshgrid(np.linspace(2, 2 * np.pi - 2, 61), np.linspace(14, -12, 30))
    neutral = np.zeros((VERTEX_COUNT, 3), np.float32)
    neutral[: FACE_SIDE**2] = egg(angle, height).reshape(-1, 3)
    neutral[9409 : 9409 + 1830] = egg(back, level).reshape(-1, 3)
    wanted = (mean_shape(98).numpy() - 0.5) * (24, -24)
    landmarks = np.zeros(98, np.int64)
    front = np.abs(angle.ravel()) < 1.5
    for index, twin in enumerate(MIRROR):
        gap = np.linalg.norm(neutral[: FACE_SIDE**2, :2] - wanted[index], axis=1)
        nearest = int(np.where(front, gap, np.inf).argmin())
        row, column = divmod(nearest, FACE_SIDE)
        if index == twin:
            column = FACE_SIDE // 2
        landmarks[index] = row * FACE_SIDE + column
        landmarks[twin] = row * FACE_SIDE + FACE_SIDE - 1 - column
    rng = np.random.default_rng(0)
    shape = (VERTEX_COUNT, 3)
    return {
        "neutral": neutral,
        "identity": (0.02 * rng.standard_normal((2, 1, 3)) * neutral).astype(np.float16),
        "expression": np.zeros((len(NAMES), *shape), np.float16),
        "expression_names": np.array(NAMES),
        "tri": np.concatenate((quads(FACE_SIDE, FACE_SIDE, 0), quads(30, 61, 9409))),
        "landmarks98_candidate": landmarks,
    }


@pytest.fixture(scope="module")
def egg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "egg.npz"
    np.savez_compressed(path, **egg_arrays())
    return path


@pytest.fixture(scope="module")
def egg_studio(egg_file: Path) -> FaceStudio:
    return open_studio(egg_file)


@pytest.fixture(scope="module")
def model_file(shared_data: Path) -> Path:
    return shared_data / "facemodel_ict_mit" / "ict_facekit_light_f16.npz"


@pytest.fixture(scope="module")
def studio(model_file: Path) -> FaceStudio:
    return open_studio(model_file)


def camera(*pose_deg: float, distance: float = 200.0) -> Camera:
    return Camera(rotation(np.radians(pose_deg)), distance, 10.0, np.array((80.0, 80.0)))


def points_of(studio: FaceStudio, *pose_deg: float) -> np.ndarray:
    """The mean head's points as a camera far away sees them."""
    view = camera(*pose_deg, distance=1e4)
    head = studio.model.neutral.astype(np.float64)
    return points_in_picture(studio.paths, head, view.project, lean=view.lean, ahead=view.ahead)


def test_projection_follows_the_pose_convention() -> None:
    pose = np.radians((25.0, -15.0, 10.0))
    view = camera(25, -15, 10, distance=1e7)
    # The directions of a head at rest: the model's own, which look up a little, y up and z front.
    cosine, sine = np.cos(REST_PITCH), np.sin(REST_PITCH)
    front, up, left = np.array((0, sine, cosine)), np.array((0, cosine, -sine)), np.array((1, 0, 0))
    for direction, axis in zip((front, up, left), axes(pose), strict=True):
        shift = view.project(PIVOT + direction) - view.project(PIVOT)
        np.testing.assert_allclose(shift / view.scale, axis[:2], atol=1e-4)


def test_nearer_is_larger_and_the_pivot_stays() -> None:
    view = camera(0, 0, 0, distance=50)
    near, far = (view.project(PIVOT + np.array((1.0, 0, z))) for z in (5.0, -5.0))
    assert near[0] - 80 > 1.15 * (far[0] - 80)
    np.testing.assert_allclose(view.project(PIVOT), (80, 80))


def test_lean_and_ahead_are_those_of_the_picture() -> None:
    assert camera(0, 0, 30).lean == pytest.approx(np.radians(30))
    assert camera(40, 0, 0).ahead == pytest.approx(-np.sin(np.radians(40)))
    assert camera(-40, 0, 0).ahead > 0


def test_a_line_is_divided_evenly() -> None:
    line = np.array([(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)])
    np.testing.assert_allclose(
        evenly_spaced(line, 5), [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1)], atol=1e-12
    )


def test_a_face_depends_on_seed_and_index_alone(egg_file: Path) -> None:
    few, more = rendered_faces(egg_file, 1, 9), rendered_faces(egg_file, 2, 9)
    np.testing.assert_array_equal(few.images[0], more.images[0])
    np.testing.assert_array_equal(few.points[0], more.points[0])
    assert not np.array_equal(more.images[0], more.images[1])
    assert few.names == ("render 0 of seed 9",)
    assert more.images[0].shape == (SIDE, SIDE, 3)
    assert more.points.shape == (2, 98, 2)
    assert np.isfinite(more.pose).all()
    np.testing.assert_allclose(more.boxes[:, :2], more.points.min(1))


def test_several_processes_draw_what_one_draws(egg_file: Path) -> None:
    alone, shared = rendered_faces(egg_file, 3, 9), rendered_faces(egg_file, 3, 9, processes=2)
    np.testing.assert_array_equal(np.stack(list(alone.images)), np.stack(list(shared.images)))
    np.testing.assert_array_equal(alone.points, shared.points)
    np.testing.assert_array_equal(alone.pose, shared.pose)
    assert alone.names == shared.names


def test_given_backgrounds_are_used(egg_studio: FaceStudio) -> None:
    green = np.zeros((200, 120, 3), np.uint8)
    green[..., 1] = 200
    face = render_face(egg_studio, np.random.default_rng(3), (green,))
    corner = face.image[:12, :12].reshape(-1, 3).mean(0)
    assert not face.head[:12, :12].any()
    assert corner[1] > 60
    assert corner[1] > 2 * max(corner[0], corner[2])


def test_points_lie_in_the_picture_and_on_the_head(egg_studio: FaceStudio) -> None:
    for index in range(6):
        check_on_the_head(rendered(egg_studio, 21, index))


def check_on_the_head(face) -> None:
    assert face.points.min() > 0
    assert face.points.max() < SIDE
    wide = np.pad(face.head, 2)
    near = np.max([np.roll(wide, (y, x), (0, 1)) for y in (-2, 0, 2) for x in (-2, 0, 2)], 0)[
        2:-2, 2:-2
    ]
    column, row = np.floor(face.points).astype(int).T
    assert near[row, column].all()


def test_a_mirrored_pose_gives_mirrored_points(egg_studio: FaceStudio) -> None:
    check_mirror(egg_studio, tolerance_px=0.1)  # float32 coordinates


def check_mirror(studio: FaceStudio, tolerance_px: float) -> None:
    for pose in ((0, 0, 0), (35, 10, 5), (80, -10, 12)):
        seen = points_of(studio, *pose)
        other = points_of(studio, -pose[0], pose[1], -pose[2])
        mirrored = other[MIRROR] * (-1, 1) + (160, 0)
        assert np.abs(seen - mirrored).max() < tolerance_px


def test_the_contour_is_evenly_spaced_from_each_ear_to_the_chin(egg_studio: FaceStudio) -> None:
    points = points_of(egg_studio, 30, 0, 0)
    steps = np.linalg.norm(np.diff(points[:33], axis=0), axis=1)
    for half in (steps[:16], steps[16:]):
        assert half.std() < 0.05 * half.mean()
    assert points[0, 0] < points[16, 0] < points[32, 0]  # 0 lies on the left of the image
    assert points[16, 1] > points[[0, 32], 1].max() + 100


def test_poses_and_expressions_are_varied_and_within_bounds() -> None:
    rng = np.random.default_rng(0)
    poses = np.degrees([random_pose(rng) for _ in range(400)])
    assert np.abs(poses[:, 0]).max() <= 90
    assert (np.abs(poses[:, 0]) > 60).mean() > 0.08
    assert np.abs(poses[:, 1]).max() <= 45
    mixtures = [random_expression(rng) for _ in range(300)]
    assert {name for mixture in mixtures for name in mixture} <= set(NAMES)
    amounts = np.array([amount for mixture in mixtures for amount in mixture.values()])
    assert amounts.min() >= 0
    assert amounts.max() <= 1.1
    closed = [m for m in mixtures if m.get("eyeBlink_L", 0) > 0.8]
    assert 5 < len(closed) < 60


def test_a_missing_model_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.npz does not exist; .*ICT-FaceKit.*MIT"):
        load_face_model(tmp_path / "none.npz")


def damaged(path: Path, **changes: np.ndarray | None) -> Path:
    arrays = {
        "neutral": np.zeros((VERTEX_COUNT, 3)),
        "identity": np.zeros((1, VERTEX_COUNT, 3)),
        "expression": np.zeros((1, VERTEX_COUNT, 3)),
        "expression_names": np.array(["jawOpen"]),
        "tri": np.zeros((4, 3), int),
        "landmarks98_candidate": np.zeros(98, int),
    }
    arrays.update(changes)
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tri": None}, "tri"),
        ({"landmarks98_candidate": np.zeros(68, int)}, r"98_candidate has the shape \(68,\)"),
        ({"identity": np.zeros((2, 9, 3))}, r"identity has the shape \(2, 9, 3\)"),
        ({"tri": np.full((4, 3), VERTEX_COUNT)}, f"number {VERTEX_COUNT}"),
        ({"tri": np.full((4, 3), -1)}, "number -1"),
        ({"neutral": np.array([{}], object)}, "not the face model"),
        ({"neutral": np.full((VERTEX_COUNT, 3), np.nan)}, "not finite"),
        ({"identity": np.zeros(())}, "identity has the shape"),
        ({"tri": np.zeros((0, 3), int)}, "tri has the shape"),
    ],
)  # fmt: skip
def test_another_file_is_refused_by_name(tmp_path: Path, changes: dict, words: str) -> None:
    path = damaged(tmp_path / "other.npz", **changes)
    with pytest.raises(DatasetError, match=rf"(?s)other\.npz.*{words}.*ICT-FaceKit"):
        load_face_model(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.npz"
    path.write_text("hello")
    with pytest.raises(DatasetError, match=r"note\.npz is not the face model"):
        load_face_model(path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["render", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_writes_pictures_labels_and_a_sheet(
    egg_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--face-model", egg_file, "--count", 2, "--seed", 5, "--output", tmp_path / "out")
    assert run(monkeypatch, *options) == 0
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert labels["seed"] == 5
    assert [face["image"] for face in labels["faces"]] == ["face00000.png", "face00001.png"]
    assert np.array(labels["faces"][1]["points"]).shape == (98, 2)
    names = ["contact_sheet.png", "face00000.png", "face00001.png", "labels.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_the_command_names_a_missing_model_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--face-model", "nowhere.npz", "--output", tmp_path) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: nowhere.npz does not exist")
    assert message.count("\n") == 1


def test_the_contour_of_a_frontal_face_keeps_to_the_jaw(studio: FaceStudio) -> None:
    seen = points_of(studio, 0, 0, 0)
    jaw = camera(0, 0, 0, distance=1e4).project(studio.model.neutral[studio.model.landmarks[:33]])
    # Along the contour the points are spaced anew: the distance to the line counts. 10 px a cm.
    fine = evenly_spaced(jaw, 400)
    gap = np.linalg.norm(seen[:33, None] - fine, axis=-1).min(1)
    assert gap.max() < 8
    assert gap.mean() < 4


@pytest.mark.parametrize("yaw", [60, -60, 75])
def test_the_far_contour_lies_on_the_outline_of_the_picture(studio: FaceStudio, yaw: int) -> None:
    rng_of = np.random.default_rng
    distances = []
    for seed in range(4):
        face = render_face(studio, rng_of((31, seed)), (), np.radians((yaw, 0, 0)))
        far = face.points[11:15] if yaw > 0 else face.points[18:22]  # below the mouth
        for x, y in far:
            covered = np.flatnonzero(face.head[int(y)])
            edge = covered[0] if yaw > 0 else covered[-1] + 1
            distances.append(abs(edge - x))
    assert np.median(distances) < 1.5


def test_hidden_features_lie_where_the_picture_ends(studio: FaceStudio) -> None:
    points = points_of(studio, 85, 0, 0)  # the image-left eye is the hidden one
    skull = camera(85, 0, 0, distance=1e4).project(studio.model.neutral[studio.model.landmarks])
    assert (skull[60, 0] - points[60, 0]) > 15  # px, 10 a cm: not shining through the nose
    near = [i for i in (72, 74, 70, 82) if np.abs(points[i] - skull[i]).max() > 4]
    assert near == []


def test_real_points_mirror_and_lie_on_the_head(studio: FaceStudio) -> None:
    check_mirror(studio, tolerance_px=0.5)  # the mesh is symmetric to 0.001 cm
    for index in range(8):
        check_on_the_head(rendered(studio, 77, index))


def test_the_mean_of_renders_is_near_the_mean_of_wflw(studio: FaceStudio) -> None:
    seen = points_of(studio, 0, 0, 0)
    wanted = mean_shape(98).numpy()
    a, b = seen - seen.mean(0), wanted - wanted.mean(0)
    scale = (a * b).sum() / (a * a).sum()
    error = np.linalg.norm(a * scale - b, axis=1) / np.linalg.norm(b[60] - b[72])
    assert error.mean() < 0.05
    swapped = np.linalg.norm(a[MIRROR] * scale - b, axis=1).mean()
    assert swapped > 10 * np.linalg.norm(a * scale - b, axis=1).mean()
