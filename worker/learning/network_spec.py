"""The specification of a network as data, small enough to be stored beside its weights."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HiddenSize = Annotated[int, Field(ge=1, le=1024)]
Sends = Annotated[int, Field(ge=1, le=64)]


class NetworkSpec(BaseModel):
    """A stack of linear layers with converting ReLUs between them, 784 inputs, 10 outputs.

    Attributes:
        inputs: Pixels of a crop (28 x 28).
        hidden_sizes: Neurons of each hidden layer.
        outputs: One score per digit.
        shift: Bits by which a hidden activation (0..127) is shifted to become an input (0..31).
        num_sends: How often each layer sends its inputs, per layer. None: each layer chooses when it is first
            built, from the gain of that moment; a trained network's spec always states the numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: Literal[784] = 784
    hidden_sizes: Annotated[tuple[HiddenSize, ...], Field(max_length=8)] = (256, 256)
    outputs: Literal[10] = 10
    shift: Annotated[int, Field(ge=0, le=7)] = 1
    num_sends: tuple[Sends, ...] | None = None

    @model_validator(mode="after")
    def _one_number_of_sends_per_layer(self) -> Self:
        if self.num_sends is not None and len(self.num_sends) != len(self.layer_shapes):
            raise ValueError(
                f"num_sends has {len(self.num_sends)} entries; "
                f"expected one per layer, {len(self.layer_shapes)}"
            )
        return self

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """The (inputs, outputs) of each linear layer."""
        return tuple(pairwise((self.inputs, *self.hidden_sizes, self.outputs)))
