"""What holds in every world, whatever happens in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atpn_deploy.crop import Box
from atpn_deploy.faces import SAME_FACE, overlap
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.scripted_world import Scene, ScriptedFace, ScriptedWorld
from atpn_deploy.tracking.track import Lifecycle
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions

Film = list[tuple[Scene, tuple[int, int]]]


def film_of(seed: int) -> Film:
    """Faces that wander, jump, dim, hide and pass each other, a detector that errs, two sizes."""
    rng = np.random.default_rng(seed)
    film, faces, size = [], [wanderer(rng)], (320, 240)
    for _ in range(30):
        faces = [moved(face, rng) for face in faces if rng.random() > 0.02]
        if rng.random() < 0.1 and len(faces) < 4:
            faces.append(wanderer(rng))
        if rng.random() < 0.02:
            size = size[::-1]
        seen = tuple(dimmed(face, rng) for face in faces if rng.random() > 0.1)
        boxes = [face.box for face in seen if rng.random() > 0.3]
        bad = [Box(*rng.integers(-50, 300, 2).tolist(), side) for side in (0, 40, 90)]
        film.append((Scene(seen, (*boxes, *(box for box in bad if rng.random() < 0.3))), size))
    return film


def wanderer(rng: np.random.Generator) -> ScriptedFace:
    return ScriptedFace(*rng.uniform(30, 210, 2), rng.choice([30, 60, 70, 120]), 0.95)


def moved(face: ScriptedFace, rng: np.random.Generator) -> ScriptedFace:
    """A little further on as a rule, and now and then somewhere else."""
    step = rng.normal(0, 0.6 if rng.random() < 0.1 else 0.08, 2) * face.size * 1.5
    return replace(face, x=face.x + step[0], y=face.y + step[1])


def dimmed(face: ScriptedFace, rng: np.random.Generator) -> ScriptedFace:
    """Less sure in one frame of four."""
    if rng.random() > 0.25:
        return face
    return replace(face, confidence=float(rng.choice([0.05, 0.6, 0.71, 0.79, 0.81])))


options = st.builds(
    TrackerOptions,
    st.builds(
        Lifecycle,
        lost_frames=st.integers(0, 4),
        proven_frames=st.integers(0, 3),
        smallest_side=st.sampled_from([12.0, 60.0]),
    ),
    max_faces=st.sampled_from([None, 1, 2]),
    rescan_frames=st.integers(0, 3),
    longest_wait_frames=st.integers(1, 4),
    smoothing=st.sampled_from(["off", "light"]),
)


class Told:
    """Plays a film and keeps what the tracker said of each frame."""

    def __init__(self, film: Film, options: TrackerOptions) -> None:
        world = ScriptedWorld()
        self.asked: list[int] = []  # how often the detector was, by frame
        self.frames: list[FrameFaces] = []
        tracker = Tracker(world, self, options, cut=world.cut)
        for k, (scene, (width, height)) in enumerate(film):
            world.scene = self._scene = scene
            self.asked.append(0)
            self.frames.append(tracker.step(np.zeros((height, width, 3), np.uint8), k / 30))

    def propose(self, image: np.ndarray) -> list[Box]:
        self.asked[-1] += 1
        return list(self._scene.proposals)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), options=options)
def test_the_laws(seed, options):
    told = Told(film_of(seed), options)

    the_events_tell_the_states(told.frames)
    a_tracked_face_is_sure(told.frames, options.lifecycle)
    there_are_never_too_many(told.frames, options)
    no_face_is_held_for_longer(told.frames, options.lifecycle)
    assert told.asked == [int(frame.detected) for frame in told.frames]


def the_events_tell_the_states(frames: list[FrameFaces]) -> None:
    """Who hears the events alone knows every state; ids are given once, in order."""
    heard: dict[int, str] = {}
    born = 0
    for frame in frames:
        for event in frame.events:
            assert event.reason
            if event.kind == "birth":
                born += 1
                assert event.id == born
                heard[event.id] = "tracked"
            elif event.kind == "death":
                del heard[event.id]
            else:
                was, becomes = {"lost": ("tracked", "lost"), "recovered": ("lost", "tracked")}[
                    event.kind
                ]
                assert heard[event.id] == was
                heard[event.id] = becomes
        assert [face.id for face in frame.faces] == sorted(heard)
        assert {face.id: face.state for face in frame.faces} == heard


def a_tracked_face_is_sure(frames: list[FrameFaces], lifecycle: Lifecycle) -> None:
    """And no two of them are the same one."""
    for frame in frames:
        assert all(face.seen.confidence > lifecycle.keep for face in frame.tracked)
        seen = [face.seen.box for face in frame.tracked]
        pairs = [(one, other) for i, one in enumerate(seen) for other in seen[:i]]
        assert all(overlap(one, other) <= SAME_FACE for one, other in pairs)


def there_are_never_too_many(frames: list[FrameFaces], options: TrackerOptions) -> None:
    limit = options.max_faces
    assert limit is None or all(len(frame.faces) <= limit for frame in frames)


def no_face_is_held_for_longer(frames: list[FrameFaces], lifecycle: Lifecycle) -> None:
    held: dict[int, int] = {}
    for frame in frames:
        lost = [face.id for face in frame.faces if face.state == "lost"]
        held = {id_: held.get(id_, 0) + 1 for id_ in lost}
        assert all(count <= lifecycle.lost_frames for count in held.values())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), options=options)
def test_the_same_film_is_told_the_same(seed, options):
    def plain(frames: list[FrameFaces]) -> list[object]:
        return [
            (frame.detected, frame.events, [(face.id, face.seen.box) for face in frame.faces])
            for frame in frames
        ]

    film = film_of(seed)

    assert plain(Told(film, options).frames) == plain(Told(film, options).frames)


def test_much_happens_in_the_films():
    """A law that is never put to the test is none."""
    options = TrackerOptions(Lifecycle(lost_frames=3, proven_frames=2), max_faces=2)
    happened = Counter(
        (event.kind, " ".join(event.reason.split()[:2]).strip(","))
        for seed in range(20)
        for frame in Told(film_of(seed), options).frames
        for event in frame.events
    )

    assert {kind for kind, _ in happened} == {"birth", "lost", "recovered", "death"}
    assert len({reason.rstrip("0123456789.") for _, reason in happened}) >= 7
