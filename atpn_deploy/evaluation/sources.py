"""What of the data sets in a folder is measured, and how: which set serves which task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.catalogue import Dataset, named
from atpn_deploy.datasets.detection_wider import detection_wider_scenes
from atpn_deploy.datasets.faces import FaceSet, Image, concatenate
from atpn_deploy.datasets.scenes import Scenes, background_crops, faces_in
from atpn_deploy.datasets.wider import wider_scenes
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.alignment import measure_alignment
from atpn_deploy.evaluation.face_or_not import measure_tracking
from atpn_deploy.evaluation.head_pose import measure_pose, turned_away, usual_faces
from atpn_deploy.evaluation.trials import TASKS, Trial
from atpn_deploy.evaluation.video import measure_video

#: Decides where the background crops lie; changed, the average precision changes with it.
BACKGROUND_SEED = 0


@dataclass(frozen=True)
class Source:
    """A trial that can be made where its data sets are there."""

    task: str  # of TASKS
    title: str  # what tables call the data
    needs: tuple[str, ...]  # names in the catalogue
    prepare: Callable[[Source, Path], Trial]  # reads the labels; images are decoded later

    def is_in(self, data: Path) -> bool:
        """Whether the folder holds all that it needs."""
        return all(dataset.is_in(data) for dataset in named(self.needs))

    def looked_for(self) -> str:
        """The paths that would have to be there."""
        return " and ".join(sorted({mark for d in named(self.needs) for mark in d.marks}))


def trials_in(data: Path, tasks: Iterable[str] | None = None) -> list[Trial]:
    """Every measurement that the folder allows, or those of the named tasks, each of them.

    Raises DatasetError for a task without data, a folder without any, and unreadable labels.
    """
    wanted = TASKS if tasks is None else tuple(tasks)
    there = [source for source in SOURCES if source.task in wanted and source.is_in(data)]
    bare = [task for task in wanted if task not in {source.task for source in there}]
    if not there or (tasks is not None and bare):
        places = sorted({source.looked_for() for source in SOURCES if source.task in bare})
        raise DatasetError(
            f"{data} holds nothing to measure {', '.join(bare)} on; "
            f"looked for {'; '.join(places)} (docs/evaluation.md)"
        )
    return [source.prepare(source, data) for source in there]


def _faces(dataset: Dataset, data: Path) -> FaceSet:
    if dataset.faces is None:
        raise DatasetError(f"{dataset.name} holds no faces to measure on")
    return dataset.faces(data)


def _alignment(source: Source, data: Path) -> Trial:
    (dataset,) = named(source.needs)
    faces = _faces(dataset, data)
    return Trial(
        source.task,
        source.title,
        len(faces),
        lambda networks, advance: measure_alignment(networks, faces, source.title, advance),
    )


def _pose_by_yaw(source: Source, data: Path) -> Trial:
    """Pose on a set without a challenging part of its own."""
    (dataset,) = named(source.needs)
    faces = usual_faces(_faces(dataset, data))
    return _pose_trial(source, faces, turned_away(faces))


def _pose_in_parts(source: Source, data: Path) -> Trial:
    """Pose on a common set and a challenging one."""
    common, challenging = (usual_faces(_faces(dataset, data)) for dataset in named(source.needs))
    both = concatenate((common, challenging))
    return _pose_trial(source, both, np.arange(len(both)) >= len(common))


def _pose_trial(source: Source, faces: FaceSet, challenging: NDArray[np.bool_]) -> Trial:
    return Trial(
        source.task,
        source.title,
        len(faces),
        lambda networks, advance: measure_pose(networks, faces, challenging, source.title, advance),
    )


def _tracking(source: Source, scenes: Scenes) -> Trial:
    recent = replace(scenes, images=Recent(scenes.images))
    faces = faces_in(recent, largest=None)
    backgrounds = background_crops(recent, seed=BACKGROUND_SEED)
    return Trial(
        source.task,
        source.title,
        len(faces) + len(backgrounds),
        lambda networks, advance: measure_tracking(
            networks, faces, backgrounds, source.title, advance
        ),
    )


def _video(source: Source, data: Path) -> Trial:
    (dataset,) = named(source.needs)
    runs = () if dataset.videos is None else dataset.videos(data)
    return Trial(
        source.task,
        source.title,
        sum(len(run) for run in runs),
        lambda networks, advance: measure_video(networks, runs, source.title, advance),
    )


class Recent(Sequence[Image]):
    """Another sequence's images of which the last one asked for is kept.

    Ten backgrounds and all faces of a photograph are cut one after the other.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = images
        self._last: tuple[int, Image] | None = None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        if self._last is None or self._last[0] != int(index):
            self._last = (int(index), self._images[int(index)])
        return self._last[1]


#: In the order of the report: the paper's own test sets first, then the development packs.
SOURCES = (
    Source("alignment", "WFLW test", ("wflw-test",), _alignment),
    Source("alignment", "WFLW dev", ("wflw-dev",), _alignment),
    Source("alignment", "300W test", ("300w-test",), _alignment),
    Source("pose", "300W-LP", ("300w-lp-common", "300w-lp-challenging"), _pose_in_parts),
    Source("pose", "AFLW2000-3D", ("aflw2000",), _pose_by_yaw),
    Source("pose", "AFLW2000-3D dev", ("aflw2000-dev",), _pose_by_yaw),
    Source(
        "tracking",
        "WIDER FACE val",
        ("wider-val",),
        lambda source, data: _tracking(source, wider_scenes(data / "WIDER", "val")),
    ),
    Source(
        "tracking",
        "WIDER FACE dev",
        ("detection-wider",),
        lambda source, data: _tracking(source, detection_wider_scenes(data)),
    ),
    Source("video", "300VW test", ("300vw-test",), _video),
    Source("video", "rendered sequences", ("rendered-video",), _video),
)
