"""Two ways through the stages: the paper's own, and the one that measured better here."""

from __future__ import annotations

from collections.abc import Callable

from atpn_deploy.datasets.augment import Augmentation
from atpn_deploy.errors import ConfigError
from atpn_deploy.training.stages import Decay, Stage

#: Section 4.2 blends backgrounds in and knows no blur, occlusion or noise.
PAPER_AUGMENTATION = Augmentation(blur=0, occlusion=0, grey=0, noise=0, mixup=0.2)


def paper(number: int, samples: int) -> Stage:
    """Section 4.2: Adam, batches of 128, rate 0.001, equation 3 as the loss of stage 1.

    "Reduced by a factor of 0.03 after every 4 epochs" (stages 2 and 3: 0.04, 2 epochs) is read as
    0.97 of the rate before: 0.03 of it would end the training after the first four epochs. The
    weight of the L2 term (equations 4, 6 and 8) is not printed; 1e-6 is ours. It is part of the
    gradient, as printed, and Adam scales it up wherever the rest of the gradient vanishes: with
    1e-4 the depthwise filters of idle channels were at 1e-20 within 3,000 steps.
    """
    return Stage(
        number,
        samples,
        batch_size=128,
        optimiser="adam",
        learning_rate=1e-3,
        schedule=Decay(0.03, 4) if number == 1 else Decay(0.04, 2),
        alignment_loss="nme",
        weight_decay=1e-6,
        average=0.0,
        negative_share=10 / 11 if number == 2 else 0.0,
        augmentation=PAPER_AUGMENTATION,
    )


#: How far the crops of stages 1 and 3 stray: about as far as those that a tracker cuts. Twice that
#: cost 0.3 % of the inter-ocular distance after 325,000 crops. What hides or blurs a face is drawn
#: more often, for long runs see each face hundreds of times.
NEAR = Augmentation(shift=0.04, scale=(0.9, 1.12), blur=0.2, occlusion=0.2, grey=0.08)


def tuned(number: int, samples: int) -> Stage:
    """Wing loss, AdamW, batches of 32, a cosine to zero and a moving average of the weights."""
    if number == 2:  # a face that a detector has framed badly is a face still
        return Stage(number, samples, learning_rate=1e-3, negative_share=0.6)
    rate = 3e-3 if number == 1 else 1e-3
    return Stage(number, samples, learning_rate=rate, weight_decay=1e-2, augmentation=NEAR)


RECIPES: dict[str, Callable[[int, int], Stage]] = {"tuned": tuned, "paper": paper}


def recipe_named(name: str) -> Callable[[int, int], Stage]:
    """The recipe of that name; ConfigError names the choices."""
    if name not in RECIPES:
        raise ConfigError(f"no recipe is called {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
