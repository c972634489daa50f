"""The recipes of trainings, with the facts that are needed outside the worker.

All the numbers of a recipe are in `worker/learning/recipes.py`; a test holds these to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from services.networks.network import Network

RecipeName = Literal["notebook", "strong", "conv", "adapt"]


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """The defaults of a recipe: they decide the number of mini-batches, and forms show them.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Crops per mini-batch.
        learning_rate: In weight LSB.
        least_steps: The least mini-batches of an epoch; a smaller training set is repeated within it.
        holds_out: Whether a twentieth of the training set is kept from learning.
        chip_epochs: Passes with the chip in the loop.
        network: The network that it trains unless another is given.
        validates: Whether it reads the crops held out after each epoch, and may end early.
        adapts: Whether it continues a version with a data set of one's own: it needs one, learns in the chip's loop
            where there is a chip, and mixes the version's first data set in.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    least_steps: int
    holds_out: bool
    chip_epochs: int
    network: Network
    validates: bool = False
    adapts: bool = False


_CONV: Final = Network.model_validate(
    [
        {"type": "conv2d", "out_channels": 16, "kernel_size": 5, "stride": 2, "num_sends": 7},
        {"type": "converting_relu", "shift": 2},
        {"type": "conv2d", "out_channels": 32, "kernel_size": 3, "stride": 2, "num_sends": 3},
        {"type": "converting_relu", "shift": 2},
        {"type": "flatten"},
        {"type": "linear", "out_features": 64, "num_sends": 2},
        {"type": "converting_relu", "shift": 2},
        {"type": "linear", "out_features": 10, "num_sends": 5},
    ]
)
"""Inputs are sent half as often as hxtorch would choose: readouts saturate less. Source: docs/decisions/0036."""

_STRONG: Final = RecipeFacts(
    epochs=8,
    batch_size=200,
    learning_rate=1.0,
    least_steps=60,
    holds_out=True,
    chip_epochs=3,
    network=Network.perceptron(),
)

RECIPES: Final[Mapping[RecipeName, RecipeFacts]] = {
    "strong": _STRONG,
    "notebook": RecipeFacts(
        epochs=4,
        batch_size=200,
        learning_rate=0.25,
        least_steps=0,
        holds_out=False,
        chip_epochs=1,
        network=Network.perceptron(),
    ),
    "conv": replace(_STRONG, epochs=7, network=_CONV),
    "adapt": replace(
        _STRONG,
        epochs=12,
        batch_size=100,
        learning_rate=0.05,
        least_steps=0,
        chip_epochs=12,
        validates=True,
        adapts=True,
    ),
}
