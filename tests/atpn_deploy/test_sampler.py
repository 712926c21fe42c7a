"""Which faces a training step draws, among how many processes, and without the unreadable ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from atpn_deploy.datasets.augment import Sampler
from atpn_deploy.datasets.images import Cached, ImageFiles
from atpn_deploy.errors import DatasetError
from atpn_deploy.training.loop import Run, train_stage
from atpn_deploy.training.stages import Stage


@pytest.fixture
def photographs(tmp_path: Path):  # type: ignore[no-untyped-def]
    """`photographs(count, bad=(1, 4))`: JPEG files, decoded when asked for, some cut in half."""

    def write(count: int, bad: tuple[int, ...] = (), side: int = 150) -> ImageFiles:
        rng = np.random.default_rng(5)
        paths = [tmp_path / f"photo{side}-{index}.jpg" for index in range(count)]
        for index, path in enumerate(paths):
            assert cv2.imwrite(str(path), rng.integers(0, 256, (side, side, 3), np.uint8))
            if index in bad:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return ImageFiles(paths)

    return write


def drawn(sampler: Sampler, steps: range, size: int, **options) -> list[str]:  # type: ignore[no-untyped-def]
    return [name for step in steps for name in sampler.batch(step, size, **options).names]


def test_every_face_comes_once_before_any_comes_again(make_sampler) -> None:
    names = drawn(make_sampler(10), range(6), 5)  # three rounds
    rounds = [names[i : i + 10] for i in (0, 10, 20)]
    assert [sorted(r) for r in rounds] == [sorted("abcdefghij")] * 3
    assert len({tuple(r) for r in rounds}) == 3  # each in its own order


def test_a_round_that_ends_within_a_batch_goes_on_with_the_next(make_sampler) -> None:
    names = drawn(make_sampler(10), range(5), 4)
    assert Counter(names[:10]) == Counter(names[10:]) == Counter("abcdefghij")


def test_backgrounds_take_no_face_s_turn(make_sampler) -> None:
    names = drawn(make_sampler(10), range(4), 5, negative_share=0.5)
    faces = [name for name in names if len(name) == 1]
    assert len(faces) == 4 * 3  # 5 - round(2.5)
    assert Counter(faces[:10]) == Counter("abcdefghij")


def test_only_faces_with_a_pose_come_where_pose_is_learnt(make_sampler) -> None:
    sampler = make_sampler(10)
    sampler.faces.pose[[0, 3, 4]] = np.nan
    posed = Sampler(sampler.faces, sampler.negatives, sampler.augmentation, seed=3)
    assert Counter(drawn(posed, range(2), 7, posed=True)) == Counter("bcfghij" * 2)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_draw_what_one_draws_alone(make_sampler, world: int) -> None:
    sampler = make_sampler(10)
    alone = sampler.batch(7, 6, negative_share=0.4)
    for rank in range(world):
        part = sampler.batch(7, 6, negative_share=0.4, part=(rank, world))
        mine = slice(rank, None, world)
        assert part.names == alone.names[mine]
        for name in ("image", "points", "weights", "pose", "is_face"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name)[mine])


def test_crops_of_one_face_in_a_batch_differ(make_sampler) -> None:
    batch = make_sampler(1).batch(0, 3)
    assert len({image.tobytes() for image in batch.image}) == 3


def test_a_truncated_jpeg_is_skipped_and_named(make_sampler, photographs) -> None:
    sampler = make_sampler(12, Cached(photographs(12, bad=(2,))))
    names = drawn(sampler, range(6), 4)
    assert "c" not in names
    assert len(names) == 24
    assert list(sampler.unreadable) == ["c"]
    assert "photo150-2.jpg is a truncated JPEG" in sampler.unreadable["c"]


def test_the_other_faces_of_its_batch_stay_as_they_are(make_sampler, photographs) -> None:
    whole = make_sampler(12, photographs(12)).batch(0, 12)
    photographs(12, bad=(2,))
    spared = make_sampler(12, photographs(12, bad=(2,))).batch(0, 12)
    same = [np.array_equal(a, b) for a, b in zip(whole.image, spared.image, strict=True)]
    assert [name for name, kept in zip(whole.names, same, strict=True) if not kept] == ["c"]
    again = make_sampler(12, photographs(12, bad=(2,))).batch(0, 12)
    assert spared.names == again.names  # who stands in is decided by seed and step


def test_a_file_that_has_gone_is_skipped_too(make_sampler, photographs, tmp_path: Path) -> None:
    images = photographs(12)
    (tmp_path / "photo150-2.jpg").unlink()
    sampler = make_sampler(12, images)
    assert "c" not in drawn(sampler, range(3), 4)
    assert "No such file" in sampler.unreadable["c"]


def test_too_many_stop_the_run(make_sampler, photographs) -> None:
    sampler = make_sampler(12, photographs(12, bad=(2, 5)))
    with pytest.raises(DatasetError, match=r"2 of 12 faces can't be read, 1 are let pass .*\.jpg"):
        drawn(sampler, range(3), 4)


def test_a_hundredth_may_be_unreadable(make_sampler, photographs) -> None:
    sampler = make_sampler(12, photographs(12, bad=(2, 5)))
    lenient = Sampler(
        sampler.faces, sampler.negatives, sampler.augmentation, seed=3, max_unreadable=0.2
    )
    drawn(lenient, range(3), 4)
    assert sorted(lenient.unreadable) == ["c", "f"]


def test_a_set_without_a_readable_face_ends_at_once(make_sampler, photographs) -> None:
    with pytest.raises(DatasetError, match="1 of 1 faces can't be read"):
        make_sampler(1, photographs(1, bad=(0,))).batch(0, 1)


def test_an_unreadable_background_is_skipped_and_named(make_sampler, photographs) -> None:
    backgrounds = photographs(12, bad=(7,), side=112)
    sampler = make_sampler(3, negatives=backgrounds)
    drawn(sampler, range(5), 8, negative_share=0.8)
    assert list(sampler.unreadable) == ["background 7"]
    assert "photo112-7.jpg is a truncated JPEG" in sampler.unreadable["background 7"]


def test_too_many_unreadable_backgrounds_stop_the_run(make_sampler, photographs) -> None:
    sampler = make_sampler(3, negatives=photographs(12, bad=(1, 2, 3, 4, 7), side=112))
    with pytest.raises(DatasetError, match="2 of 12 backgrounds can't be read, 1 are let pass"):
        drawn(sampler, range(9), 8, negative_share=0.8)


def test_a_stage_trains_on_without_a_truncated_jpeg(
    make_network, make_sampler, photographs, tmp_path: Path
) -> None:
    sampler = make_sampler(12, photographs(12, bad=(2,)))
    stage = Stage(3, 24, batch_size=4, settling_samples=0)
    losses: list[float] = []
    run = Run(tmp_path / "stage3", loaders=2)
    train_stage(make_network(), stage, sampler, run, lambda s, loss, rate: losses.append(loss))
    assert len(losses) == 6
    assert np.isfinite(losses).all()
    assert list(sampler.unreadable) == ["c"]
