"""A network as data: a list of layers, from the pixels of a crop to ten scores."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Strict,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from services.networks.layers import (
    ConvertingReLU,
    Flatten,
    Layer,
    Linear,
    MacLayer,
    Product,
    ReLU,
    Shape,
    Unflatten,
)
from services.networks.perceptron import MultilayerPerceptron

DIGITS: Final = 10
_PIXELS: Final = (784,)
_PICTURE: Final = (1, 28, 28)
MOST_WEIGHTS: Final = 4 * 2**20
MOST_EXECUTIONS: Final = 4096
"""Runs of the whole chip for one crop; a real chip takes about 0.2 ms for each."""
MOST_LAYER_VALUES: Final = 2**16
"""Values that come out of a layer for one crop; a mini-batch of 500 holds 131 MB of them."""
MOST_WINDOW_VALUES: Final = 2**17
"""Values that the windows of all convolutions hold for one crop: a bound on memory."""


class Network(BaseModel):
    """A network. A bare list of layers stands for its `layers`, and `hidden`, `shift` and `num_sends` for a perceptron.

    Networks that the short form can express are always written in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    layers: Annotated[tuple[Layer, ...], Strict(False), Field(max_length=32)]
    input: Annotated[tuple[int, ...], Strict(False)] = _PIXELS
    """`[784]` or `[1, 28, 28]`; when left out, the latter if the first layer is a `conv2d`."""

    @classmethod
    def perceptron(
        cls, hidden: Sequence[int] = (256, 256), shift: int = 1, num_sends: Sequence[int] | None = None
    ) -> Self:
        """Return linear layers with converting ReLUs between them."""
        short = MultilayerPerceptron(
            hidden=list(hidden), shift=shift, num_sends=None if num_sends is None else list(num_sends)
        )
        return cls(layers=tuple(short.layers()))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of one crop's values before each layer, and after the last.

        Raises:
            ValueError: a layer cannot take them.
        """
        shapes = [self.input]
        for place, layer in enumerate(self.layers):
            try:
                shapes.append(layer.shape_after(shapes[-1]))
            except ValueError as error:
                raise ValueError(f"layers.{place} ({layer.type}): {error}") from None
        return tuple(shapes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers' modules, before `.weight` and `.bias`: `conv1`, `relu1`, `linear1` and so on."""
        seen: Counter[str] = Counter()
        names = []
        for layer in self.layers:
            seen[layer.name] += 1
            names.append(f"{layer.name}{seen[layer.name]}")
        return tuple(names)

    @property
    def parameter_shapes(self) -> dict[str, Shape]:
        """The shapes of weights and biases by their names."""
        shapes: dict[str, Shape] = {}
        for name, layer, shape in zip(self.names, self.layers, self.shapes, strict=False):
            if isinstance(layer, MacLayer):
                weight = shapes[f"{name}.weight"] = layer.weight_shape(shape)
                if layer.bias:
                    shapes[f"{name}.bias"] = weight[:1]
        return shapes

    @property
    def products(self) -> tuple[Product, ...]:
        """The multiplications, layer by layer."""
        layers = zip(self.layers, self.shapes, strict=False)
        return tuple(layer.product(shape) for layer, shape in layers if isinstance(layer, MacLayer))

    @property
    def hidden(self) -> dict[str, Shape]:
        """The shapes of the hidden activations: what comes out of the rectifiers before the last multiplication."""
        layers = list(zip(self.names, self.layers, self.shapes[1:], strict=True))
        last = max(place for place, (_, layer, _) in enumerate(layers) if isinstance(layer, MacLayer))
        return {
            name: shape for name, layer, shape in layers[:last] if isinstance(layer, ReLU | ConvertingReLU)
        }

    @property
    def runs(self) -> int:
        """The number of times the whole chip runs for one crop."""
        return sum(product.executions for product in self.products)

    @property
    def window_values(self) -> int:
        """The number of values in the windows of all convolutions for one crop."""
        return sum(product.rows * product.vectors for product in self.products if product.vectors > 1)

    @property
    def num_sends(self) -> tuple[int, ...] | None:
        """How often each layer's input is sent; None if a layer has still to choose."""
        sends = [layer.num_sends for layer in self.layers if isinstance(layer, MacLayer)]
        stated = tuple(number for number in sends if number is not None)
        return stated if len(stated) == len(sends) else None

    def with_num_sends(self, num_sends: Sequence[int]) -> Self:
        """Return the network with the number of sends of each layer that multiplies."""
        remaining = iter(num_sends)
        layers = tuple(
            layer.model_copy(update={"num_sends": next(remaining)}) if isinstance(layer, MacLayer) else layer
            for layer in self.layers
        )
        return self.model_copy(update={"layers": layers})

    def short(self) -> MultilayerPerceptron | None:
        """Return the short form, or None if it cannot express the network."""
        linear = [layer for layer in self.layers if isinstance(layer, Linear)]
        shift = next((layer.shift for layer in self.layers if isinstance(layer, ConvertingReLU)), None)
        if shift is None or not 2 <= len(linear) <= 5 or self.input != _PIXELS:
            return None
        sends = self.num_sends
        short = MultilayerPerceptron(
            hidden=[layer.out_features for layer in linear[:-1]],
            shift=shift,
            num_sends=None if sends is None else list(sends),
        )
        return short if tuple(short.layers()) == self.layers else None

    @field_validator("input")
    @classmethod
    def _is_a_crop(cls, value: Shape) -> Shape:
        if value not in {_PIXELS, _PICTURE}:
            raise ValueError("expected [784] or [1, 28, 28]")
        return value

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, given: Any) -> Any:
        if isinstance(given, Sequence) and not isinstance(given, str):
            given = {"layers": given}
        if not isinstance(given, Mapping):
            return given
        if not {"layers", "input"} & given.keys():
            return {"layers": tuple(MultilayerPerceptron.model_validate(dict(given)).layers())}
        return {"input": _input_of(given.get("layers")), **given}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.shapes[-1] != (DIGITS,):
            raise ValueError(f"expected ten scores, of shape (10,), got {self.shapes[-1]}")
        _check_ranges(self.layers)
        _check_sizes(self)
        return self

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        short = self.short()
        written: dict[str, Any] = write(self) if short is None else short.model_dump()
        return written

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the short form beside the long one."""
        return {"anyOf": [handler(MultilayerPerceptron.__pydantic_core_schema__), handler(core_schema)]}


def _input_of(layers: object) -> Shape:
    first = layers[0] if isinstance(layers, Sequence) and layers else None
    kind = first.get("type") if isinstance(first, Mapping) else getattr(first, "type", None)
    return _PICTURE if kind == "conv2d" else _PIXELS


def _check_ranges(layers: Sequence[Layer]) -> None:
    """Check that each multiplication gets inputs of the chip's range, and each rectifier readouts.

    Raises:
        ValueError: a layer does not.
    """
    most = 31
    for place, layer in enumerate(layers):
        match layer:
            case MacLayer():
                if most != 31:
                    raise ValueError(
                        f"layers.{place} ({layer.type}): expected inputs of 0..31, got readouts; "
                        "put converting_relu before it"
                    )
                most = 128
            case ConvertingReLU():
                most = 31
            case ReLU():
                most = min(most, 127)
            case Flatten() | Unflatten():
                pass


def _check_sizes(network: Network) -> None:
    """Check that the network is not too large.

    Raises:
        ValueError: it is.
    """
    shapes = network.parameter_shapes.items()
    for what, most, found in (
        ("weights", MOST_WEIGHTS, sum(math.prod(shape) for name, shape in shapes if name.endswith("weight"))),
        ("runs of the chip for a crop", MOST_EXECUTIONS, network.runs),
        ("values in the windows of a crop", MOST_WINDOW_VALUES, network.window_values),
        ("values behind a layer", MOST_LAYER_VALUES, max(math.prod(shape) for shape in network.shapes)),
    ):
        if found > most:
            raise ValueError(
                f"expected at most {most} {what}, got {found}; make layers smaller or strides larger"
            )
