"""The fully connected layer."""

from collections.abc import Callable

import torch

from hxtorch_emulator.perceptron.addition import add
from hxtorch_emulator.perceptron.biased_mac import biased_mac
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.multiplication import matmul
from hxtorch_emulator.perceptron.nn.layer import MACLayer, Transform
from hxtorch_emulator.perceptron.nn.scaling import clamp_weight_
from hxtorch_emulator.perceptron.tracing import is_recording


class Linear(MACLayer, torch.nn.Linear):
    """A fully connected layer on the chip.

    The arguments are those of ``torch.nn.Linear`` and of ``MACLayer``; the bias is added digitally, after the readout.
    """

    _matmul: Callable[..., torch.Tensor] = matmul
    """The operation; tests and subclasses replace it."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        num_sends: int | None = None,
        wait_between_events: int = defaults.wait_between_events,
        mock: bool = False,
        *,
        avg: int = 1,
        input_transform: Transform | None = None,
        weight_transform: Transform | None = clamp_weight_,
    ) -> None:
        self.num_sends = num_sends  # torch.nn.Linear initialises the weights, which needs this
        torch.nn.Linear.__init__(self, in_features, out_features, bias=bias)
        MACLayer.__init__(
            self,
            self.num_sends,
            wait_between_events,
            mock,
            avg=avg,
            input_transform=input_transform,
            weight_transform=weight_transform,
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map inputs (..., in_features), 0..31, to readouts (..., out_features), -128..127."""
        if self._is_simple(input):
            return self._forward_at_once(input)
        x, weight = self.transformed(input)
        if self.avg > 1:
            weight = weight.repeat_interleave(self.avg, 0)
        y = self._matmul(
            x,
            weight.t(),
            num_sends=self.num_sends,
            wait_between_events=self.wait_between_events,
            mock=self.mock,
        )
        if self.avg > 1:
            y = y.view(*y.shape[:-1], self.out_features, self.avg).mean(-1)
        return y if self.bias is None else add(y, self.bias, mock=self.mock)

    def _is_simple(self, x: torch.Tensor) -> bool:
        """Return whether all operations between ``x`` and the readouts may be done in one step, unseen."""
        return (
            self.avg == 1
            and x.dim() == 2
            and self.input_transform is None
            and self._matmul is matmul
            and not is_recording()
        )

    def _forward_at_once(self, x: torch.Tensor) -> torch.Tensor:
        """Map inputs (batch, in_features) to readouts, with everything between in one step."""
        assert self.num_sends is not None
        weight: torch.Tensor = self.weight
        saturate = self.weight_transform is clamp_weight_ and weight.dtype == torch.float32
        if not saturate:
            x, weight = self.transformed(x)
        return biased_mac(
            x,
            weight.t(),
            self.bias,
            num_sends=self.num_sends,
            wait_between_events=self.wait_between_events,
            mock=self.mock,
            saturate_weights=saturate,
        )
