"""The recipes' figures: the paper's are those that it prints."""

from __future__ import annotations

import pytest

from atpn_deploy.errors import ConfigError
from atpn_deploy.training.recipes import paper, recipe_named, tuned
from atpn_deploy.training.stages import Cosine, Decay


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_paper_s_recipe_is_section_4_2(number: int) -> None:
    stage = recipe_named("paper")(number, 1280)
    assert (stage.number, stage.samples, stage.steps) == (number, 1280, 10)
    assert (stage.optimiser, stage.batch_size, stage.learning_rate) == ("adam", 128, 1e-3)
    assert stage.schedule == (Decay(0.03, 4) if number == 1 else Decay(0.04, 2))
    assert stage.alignment_loss == "nme"
    assert stage.average == 0  # the last weights
    known = stage.augmentation
    assert known.mixup > 0
    assert (known.blur, known.occlusion, known.noise, known.grey) == (0, 0, 0, 0)


def test_the_paper_takes_ten_backgrounds_a_face() -> None:
    stage = paper(2, 1280)
    share = stage.negative_share
    assert share / (1 - share) == pytest.approx(10)
    assert paper(1, 1280).negative_share == paper(3, 1280).negative_share == 0


def test_the_tuned_recipe_falls_as_a_cosine_and_averages() -> None:
    stage = recipe_named("tuned")(1, 640)
    assert isinstance(stage.schedule, Cosine)
    assert (stage.optimiser, stage.alignment_loss, stage.average) == ("adamw", "wing", 0.998)
    assert tuned(2, 640).negative_share > 0
    assert tuned(3, 640).negative_share == 0


def test_an_unknown_recipe_is_told_the_choices() -> None:
    with pytest.raises(ConfigError, match="no recipe is called 'best'; choose one of tuned, paper"):
        recipe_named("best")
