"""The short form of a network of linear layers."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.networks.layers import ConvertingReLU, Layer, Linear, NumSends, Shift


class MultilayerPerceptron(BaseModel):
    """The short form of linear layers with converting ReLUs between them: 784 inputs, hidden layers, 10 outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    inputs: Literal[784] = 784
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(min_length=1, max_length=4)] = [
        256,
        256,
    ]
    outputs: Literal[10] = 10
    shift: Shift = 1
    """Converting ReLU: divide by 2**shift."""
    num_sends: list[NumSends] | None = None
    """How often each layer's input is sent; chosen from the gain when left out."""

    @model_validator(mode="after")
    def _one_number_of_sends_per_layer(self) -> Self:
        layers = len(self.hidden) + 1
        if self.num_sends is not None and len(self.num_sends) != layers:
            raise ValueError(f"num_sends has {len(self.num_sends)} numbers; give one per layer, {layers}")
        return self

    def layers(self) -> list[Layer]:
        """Return the layers in full."""
        sizes = [*self.hidden, self.outputs]
        sends: list[int | None] = [*self.num_sends] if self.num_sends else [None] * len(sizes)
        layers: list[Layer] = []
        for out_features, num_sends in zip(sizes, sends, strict=True):
            layers += [
                Linear(out_features=out_features, num_sends=num_sends),
                ConvertingReLU(shift=self.shift),
            ]
        return layers[:-1]
