"""The layers of networks, as data: fields are the arguments of the layer of the same name in hxtorch or torch."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

Shape = tuple[int, ...]
"""The shape of one crop's values, without the batch."""

_ROWS: Final = 128
_COLUMNS: Final = 256
_TILES_AT_A_TIME: Final = 2

_Count = Annotated[int, Field(ge=1, le=1024)]
_Size = Annotated[int, Field(ge=1, le=784)]
_Padding = Annotated[int, Field(ge=0, le=784)]
NumSends = Annotated[int, Field(ge=1, le=64)]
Shift = Annotated[int, Field(ge=0, le=7)]


@dataclass(frozen=True, slots=True)
class Product:
    """The multiplication of a layer: its matrix on the chip, and the number of input vectors for one crop."""

    rows: int
    columns: int
    vectors: int

    @property
    def executions(self) -> int:
        """Runs of the whole chip for one crop, two tiles of 128 x 256 at a time. Source: hxtorch's partitioning."""
        tiles = math.ceil(self.rows / _ROWS) * math.ceil(self.columns / _COLUMNS)
        return math.ceil(tiles / _TILES_AT_A_TIME) * self.vectors

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one crop."""
        return self.rows * self.columns * self.vectors


class LayerModel(BaseModel):
    """A layer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: ClassVar[str]
    """The name of its module, before its number among those of this name."""

    def shape_after(self, shape: Shape) -> Shape:
        """Return the shape of the values that come out, for the shape of those that go in.

        Raises:
            ValueError: such values cannot go in.
        """
        return shape


class MacLayer(LayerModel, ABC):
    """A layer that multiplies and accumulates on the chip, and adds a bias."""

    bias: bool = True
    num_sends: NumSends | None = None
    """How often each input is sent; chosen from the gain when left out."""
    wait_between_events: Annotated[int, Field(ge=1, le=1000)] = 5
    """FPGA cycles of 8 ns between two events."""

    @abstractmethod
    def weight_shape(self, shape: Shape) -> Shape:
        """Return the shape of its weight, outputs first, for inputs of a shape."""

    @abstractmethod
    def product(self, shape: Shape) -> Product:
        """Return its multiplication for inputs of a shape."""


class Linear(MacLayer):
    """A fully connected layer."""

    name = "linear"
    type: Literal["linear"] = "linear"
    out_features: _Count
    avg: Annotated[int, Field(ge=1, le=64)] = 1
    """Columns of the chip that carry each output and are averaged."""

    def shape_after(self, shape: Shape) -> Shape:
        """Map `(inputs,)` to `(out_features,)`."""
        _need_axes(shape, 1, "(inputs,)")
        return (self.out_features,)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `(out_features, inputs)`."""
        return (self.out_features, *shape)

    def product(self, shape: Shape) -> Product:
        """Return its multiplication for inputs of a shape."""
        return Product(shape[0], self.out_features * self.avg, 1)


class Conv2d(MacLayer):
    """A two-dimensional convolution."""

    name = "conv"
    type: Literal["conv2d"] = "conv2d"
    out_channels: _Count
    kernel_size: _Size | Annotated[tuple[_Size, _Size], Strict(False)]
    """One number, or height and width."""
    stride: _Size | Annotated[tuple[_Size, _Size], Strict(False)] = 1
    padding: _Padding | Annotated[tuple[_Padding, _Padding], Strict(False)] = 0

    def shape_after(self, shape: Shape) -> Shape:
        """Map `(channels, height, width)` to `(out_channels, height, width)`."""
        _need_axes(shape, 3, "(channels, height, width)")
        axes = zip(shape[1:], *map(_pair, (self.kernel_size, self.stride, self.padding)), strict=True)
        return (self.out_channels, *(_count_windows(*axis) for axis in axes))

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `(out_channels, channels, kernel height, kernel width)`."""
        return (self.out_channels, shape[0], *_pair(self.kernel_size))

    def product(self, shape: Shape) -> Product:
        """Return its multiplication for inputs of a shape."""
        _, height, width = self.shape_after(shape)
        return Product(shape[0] * math.prod(_pair(self.kernel_size)), self.out_channels, height * width)


class _Conv1d(MacLayer):
    """The common part of one-dimensional convolutions."""

    name = "conv"
    out_channels: _Count
    kernel_size: _Size
    stride: _Size = 1
    padding: _Padding = 0

    def shape_after(self, shape: Shape) -> Shape:
        """Map `(channels, length)` to `(out_channels, length)`."""
        _need_axes(shape, 2, "(channels, length)")
        return self.out_channels, _count_windows(shape[1], self.kernel_size, self.stride, self.padding)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `(out_channels, channels, kernel)`."""
        return self.out_channels, shape[0], self.kernel_size


class Conv1d(_Conv1d):
    """A one-dimensional convolution."""

    type: Literal["conv1d"] = "conv1d"

    def product(self, shape: Shape) -> Product:
        """Return its multiplication for inputs of a shape."""
        return Product(shape[0] * self.kernel_size, self.out_channels, self.shape_after(shape)[1])


class ExpandedConv1d(_Conv1d):
    """A one-dimensional convolution that places several shifted kernels side by side."""

    type: Literal["expanded_conv1d"] = "expanded_conv1d"
    num_expansions: Annotated[int, Field(ge=1, le=256)] | None = None
    """Copies of the kernel; as many as one tile holds of a kernel of one channel when left out."""

    def product(self, shape: Shape) -> Product:
        """Return its multiplication for inputs of a shape."""
        copies = self.num_expansions or max(
            1, min(_COLUMNS // self.out_channels, (_ROWS - self.kernel_size) // self.stride + 1)
        )
        length = self.kernel_size + (copies - 1) * self.stride
        vectors = math.ceil(self.shape_after(shape)[1] / copies)
        return Product(shape[0] * length, self.out_channels * copies, vectors)


class ReLU(LayerModel):
    """A rectifier: readouts to 0..127."""

    name = "relu"
    type: Literal["relu"] = "relu"


class ConvertingReLU(LayerModel):
    """A rectifier that turns readouts into inputs of the next layer, 0..31."""

    name = "relu"
    type: Literal["converting_relu"] = "converting_relu"
    shift: Shift = 2
    """Divide by 2**shift."""


class Flatten(LayerModel):
    """All axes of a crop as one."""

    name = "flatten"
    type: Literal["flatten"] = "flatten"

    def shape_after(self, shape: Shape) -> Shape:
        """Map any shape to `(values,)`."""
        return (math.prod(shape),)


class Unflatten(LayerModel):
    """One axis as several, such as 784 pixels as 28 channels of 28."""

    name = "unflatten"
    type: Literal["unflatten"] = "unflatten"
    unflattened_size: Annotated[tuple[_Size, ...], Strict(False), Field(min_length=1, max_length=3)]

    def shape_after(self, shape: Shape) -> Shape:
        """Map `(values,)` to the shape."""
        _need_axes(shape, 1, "(values,)")
        if math.prod(self.unflattened_size) != shape[0]:
            raise ValueError(f"unflattened_size {self.unflattened_size} does not hold {shape[0]} values")
        return self.unflattened_size


Layer = Annotated[
    Linear | Conv2d | Conv1d | ExpandedConv1d | ReLU | ConvertingReLU | Flatten | Unflatten,
    Field(discriminator="type"),
]


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _need_axes(shape: Shape, axes: int, expected: str) -> None:
    if len(shape) != axes:
        hint = "; put flatten before it" if axes == 1 else ""
        raise ValueError(f"expected inputs of shape {expected}, got {shape}{hint}")


def _count_windows(size: int, kernel: int, stride: int, padding: int) -> int:
    if kernel > size + 2 * padding:
        raise ValueError(f"expected a kernel of at most {size + 2 * padding}, got {kernel}")
    return (size + 2 * padding - kernel) // stride + 1
