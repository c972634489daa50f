"""The arithmetic that learning needs: its part of `hxtorch.perceptron`."""

from typing import Any, Literal, Protocol

from torch import Tensor

Execution = Literal["mock", "chip", "float32"]
"""Where a network is computed: mock arithmetic, the open chip, or plain float32 layers as a reference."""


class MockParameter(Protocol):
    """Gain and noise of the mock arithmetic."""

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise of one tile, in LSB, >= 0."""

    @property
    def gain(self) -> float:
        """Output LSB per unit of input times weight, 0 < gain <= 1."""


class _Matmul(Protocol):
    def __call__(
        self,
        values: Tensor,
        other: Tensor,
        /,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
    ) -> Tensor: ...


class _Add(Protocol):
    def __call__(self, values: Tensor, other: Tensor, /, alpha: int = 1, mock: bool = False) -> Tensor: ...


class _ConvertingRelu(Protocol):
    def __call__(self, values: Tensor, /, shift: int = 2, mock: bool = False) -> Tensor: ...


class Perceptron(Protocol):
    """The module `hxtorch.perceptron`, the emulator's or the real chip's.

    Source: hxtorch, `py/hxtorch/perceptron`; names, order and defaults of the arguments are its own.
    """

    @property
    def nn(self) -> Any:
        """The layers: `Linear`, `ConvertingReLU`."""

    @property
    def MockParameter(self) -> Any:  # noqa: N802 hxtorch's name of a class
        """The class of gain and noise: `MockParameter(noise_std=2.0, gain=0.002)`."""

    @property
    def matmul(self) -> _Matmul:
        """Multiply `(batch, rows)`, 0..31, by `(rows, columns)`, -63..63: `(batch, columns)`, -128..127."""

    @property
    def add(self) -> _Add:
        """Add `(columns,)` to `(batch, columns)`, all -128..127."""

    @property
    def converting_relu(self) -> _ConvertingRelu:
        """Turn readouts, -128..127, into inputs, 0..31."""

    def get_mock_parameter(self) -> Any:
        """Return the gain and noise now in force."""

    def set_mock_parameter(self, parameter: Any, /) -> None:
        """Put a gain and a noise in force, for the whole process."""
