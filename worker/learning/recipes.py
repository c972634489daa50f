"""Training recipes: every number of a training besides the network and the data.

The names, and the facts that others need, stand in `services/jobs/recipes.py` too.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.learning.errors import RecipeInvalidError

AugmentationName = Literal["none", "crop", "distort"]


class Recipe(BaseModel):
    """How a network is trained; complete, so that it can be kept with the weights and run again.

    Attributes:
        name: The recipe the values started from.
        epochs: Passes over the training set.
        batch_size: Crops per mini-batch.
        min_steps_per_epoch: A training set too small for this many mini-batches is repeated within an epoch,
            each time varied anew.
        learning_rate: Of Adam, in weight LSB; the highest one where the schedule changes it.
        schedule: "constant", or "one-cycle": up along half a cosine, then down to zero along another.
        warm_up: Part of all steps the one-cycle schedule spends going up.
        augmentation: "none", "crop" (torchvision's RandomResizedCrop) or "distort" (a mild affine map).
        rotation_deg: Largest rotation of "distort".
        scale: Largest change in size of "distort", as a fraction.
        shear_deg: Largest shear of "distort".
        shift_px: Largest shift of "distort", in x and y.
        logit_scale: Scores (LSB) times this are the logits of the cross entropy.
        loss_divisor: The cross entropy is divided by this.
        hold_out: Keep a twentieth of the training set from being learned, to fit the scale of the scores on;
            otherwise it is fitted on the same crops although they were learned from, varied, before.
        patience: Epochs without a lower loss on held-out crops after which a phase ends early; 0: it never does.
        chip_epochs: Passes with the chip in the loop, after those in mock arithmetic.
        chip_learning_rate: As `learning_rate`, with the chip in the loop.
        seed: Of all random numbers: initial weights, order, augmentation, noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    epochs: Annotated[int, Field(ge=1, le=200)]
    batch_size: Annotated[int, Field(ge=1, le=1000)]
    min_steps_per_epoch: Annotated[int, Field(ge=0, le=1000)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["constant", "one-cycle"]
    warm_up: Annotated[float, Field(gt=0, lt=1)]
    augmentation: AugmentationName
    rotation_deg: Annotated[float, Field(ge=0, le=45)]
    scale: Annotated[float, Field(ge=0, le=0.5)]
    shear_deg: Annotated[float, Field(ge=0, le=45)]
    shift_px: Annotated[float, Field(ge=0, le=7)]
    logit_scale: Annotated[float, Field(gt=0, le=10)]
    loss_divisor: Annotated[float, Field(gt=0, le=1000)]
    hold_out: bool
    patience: Annotated[int, Field(ge=0, le=50)] = 0
    chip_epochs: Annotated[int, Field(ge=1, le=50)]
    chip_learning_rate: Annotated[float, Field(gt=0, le=10)]
    seed: Annotated[int, Field(ge=0, lt=2**53)]

    def schedule_at(self, step: int, steps: int) -> float:
        """Return the part, 0..1, of the highest learning rate for training step `step` (from 0) of `steps`.

        One-cycle starts at a fifth of its peak: the first steps, with weights of a few LSB, need no caution.

        Source: torch.optim.lr_scheduler.OneCycleLR, which starts at 1/25.
        """
        if self.schedule == "constant":
            return 1.0
        progress = step / steps
        if progress < self.warm_up:
            rise = (1 - math.cos(math.pi * progress / self.warm_up)) / 2
            return (1 + 4 * rise) / 5
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2

    @model_validator(mode="after")
    def _no_distortion_is_set_in_vain(self) -> Self:
        if self.augmentation != "distort":
            for field in ("rotation_deg", "scale", "shear_deg", "shift_px"):
                if getattr(self, field) != 0:
                    raise ValueError(f'{field} is for the augmentation "distort"; leave it out or set that')
        return self


_NOTEBOOK: dict[str, Any] = {
    "name": "notebook",
    "epochs": 4,
    "batch_size": 200,
    "min_steps_per_epoch": 0,
    "learning_rate": 0.25,
    "schedule": "constant",
    "warm_up": 0.3,
    "augmentation": "crop",
    "rotation_deg": 0.0,
    "scale": 0.0,
    "shear_deg": 0.0,
    "shift_px": 0.0,
    "logit_scale": 1.0,
    "loss_divisor": 64.0,
    "hold_out": False,
    "chip_epochs": 1,
    "chip_learning_rate": 0.1,
    "seed": 0,
}
"""The teaching notebook's recipe. Source: the BrainScaleS-2 tutorial notebook on MNIST, as it stands."""

_STRONG: dict[str, Any] = {
    "name": "strong",
    "epochs": 8,
    "batch_size": 200,
    "min_steps_per_epoch": 60,
    "learning_rate": 1.0,
    "schedule": "one-cycle",
    "warm_up": 0.2,
    "augmentation": "distort",
    "rotation_deg": 8.0,
    "scale": 0.1,
    "shear_deg": 5.0,
    "shift_px": 1.0,
    "logit_scale": 0.1,
    "loss_divisor": 1.0,
    "hold_out": True,
    "chip_epochs": 3,
    "chip_learning_rate": 0.3,
    "seed": 0,
}
"""Better and no slower. Source: measured, docs/decisions/0005-strong-recipe.md."""

_CONV: dict[str, Any] = _STRONG | {"name": "conv", "epochs": 7}
"""For a convolutional network. Source: measured, docs/decisions/0036-networks-of-layers.md."""

_ADAPT: dict[str, Any] = _STRONG | {
    "name": "adapt",
    "epochs": 12,
    "batch_size": 100,
    "min_steps_per_epoch": 0,
    "learning_rate": 0.05,
    "schedule": "constant",
    "patience": 3,
    "chip_epochs": 12,
    "chip_learning_rate": 0.05,
}
"""For a version that has learnt, and a few digits of somebody's own. Source: measured,
docs/decisions/0039-learning-a-hand.md."""

RECIPES: dict[str, dict[str, Any]] = {
    "notebook": _NOTEBOOK,
    "strong": _STRONG,
    "conv": _CONV,
    "adapt": _ADAPT,
}


def resolve(name: str, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Return the recipe of this name with some values replaced.

    Changing the augmentation away from "distort" switches its extents off, unless they are given.

    Raises:
        RecipeInvalidError: The name is unknown, or a value is unknown, out of range or of the wrong type.
    """
    if name not in RECIPES:
        raise RecipeInvalidError(f"there is no recipe {name!r}; choose one of {', '.join(sorted(RECIPES))}.")
    changes = dict(overrides or {})
    if changes.pop("name", name) != name:
        raise RecipeInvalidError(
            f"the recipe's name {name!r} cannot be replaced; choose another recipe instead."
        )
    values = {**RECIPES[name], **changes}
    if values["augmentation"] != "distort":
        values |= {
            field: 0.0 for field in ("rotation_deg", "scale", "shear_deg", "shift_px") if field not in changes
        }
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'recipe'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise RecipeInvalidError(f"the recipe {name!r} cannot be used: {problems}.") from error
