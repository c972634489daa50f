"""A stand-in for the genuine hxtorch: exactly the names and signatures it has, over a virtual chip, and faults.

Every signature is written here from hxtorch's own (commit 3bfc7aa), so that a call that hxtorch would not take
raises `TypeError`, and a name that it does not have `AttributeError`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import hxtorch_emulator as emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import VirtualChip
from hxtorch_emulator.perceptron import constants, nn

IDENTIFIER = "hxcube7fpga0chip67_1"


class CalibrationPath:
    """Where a calibration file is."""

    def __init__(self, value: str) -> None:
        self.value = value


class HWDBPath:
    """Where the calibrations of all chips are."""

    def __init__(self, path: str | None = None, version: str = "stable/latest") -> None:
        self.path = path
        self.version = version


@dataclass(slots=True)
class Faults:
    """What shall go wrong.

    `is_lost`: computing raises until the chip is opened afresh. `refusals`: so many openings raise, after which
    they succeed. `next_errors`: raised by the next computations, one each. `wrong_shape`: products lack a column.
    """

    is_lost: bool = False
    refusals: int = 0
    next_errors: list[Exception] = field(default_factory=list)
    wrong_shape: bool = False
    identifier: str = IDENTIFIER
    openings: int = 0
    loaded: str | None = None


class FaultyChip(VirtualChip):
    """A virtual chip whose connection can be lost."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(IDENTIFIER)
        self._faults = faults

    def multiply(
        self, inputs: Tensor, weights: Tensor, *, num_sends: int, wait_between_events: int
    ) -> Tensor:
        """What the virtual chip computes, unless something is wrong."""
        if self._faults.is_lost:
            raise RuntimeError("ARQ stream: no response from the FPGA")
        if self._faults.next_errors:
            raise self._faults.next_errors.pop(0)
        return super().multiply(inputs, weights, num_sends=num_sends, wait_between_events=wait_between_events)


def install_standin(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Lets `import hxtorch` find the stand-in for the length of a test; what shall go wrong is up to the caller."""
    faults = Faults()
    connection.choose_chip(FaultyChip(faults))
    hxtorch, perceptron = ModuleType("hxtorch"), _perceptron(faults)
    hxtorch.__dict__.update(_hardware(faults), logger=emulator.logger, perceptron=perceptron)
    monkeypatch.setitem(sys.modules, "hxtorch", hxtorch)
    monkeypatch.setitem(sys.modules, "hxtorch.perceptron", perceptron)
    return faults


def _hardware(faults: Faults) -> dict[str, Any]:
    def open_chip() -> None:
        if faults.refusals:
            faults.refusals -= 1
            raise RuntimeError("quiggeldy: connection timed out")
        faults.is_lost = False
        faults.openings += 1

    def init_hardware(
        hwdb_path: HWDBPath | CalibrationPath | None = None,
        ann: bool = False,
        *,
        calibration_path: CalibrationPath | None = None,
    ) -> None:
        del ann
        hwdb_path = calibration_path or hwdb_path
        open_chip()
        if isinstance(hwdb_path, CalibrationPath):
            emulator.init_hardware(emulator.CalibrationPath(hwdb_path.value))
            faults.loaded = hwdb_path.value
        else:
            emulator.init_hardware()
            faults.loaded = None

    def init_hardware_minimal() -> None:
        open_chip()
        emulator.init_hardware_minimal()

    def release_hardware() -> None:
        emulator.release_hardware()

    def get_unique_identifier(hwdb_path: HWDBPath | None = None) -> list[str]:
        del hwdb_path
        emulator.get_unique_identifier()
        return [faults.identifier]

    return {
        "CalibrationPath": CalibrationPath,
        "HWDBPath": HWDBPath,
        "init_hardware": init_hardware,
        "init_hardware_minimal": init_hardware_minimal,
        "release_hardware": release_hardware,
        "get_unique_identifier": get_unique_identifier,
    }


def _perceptron(faults: Faults) -> ModuleType:
    real = emulator.perceptron

    def matmul(
        input: Tensor,  # noqa: A002 hxtorch's keyword
        other: Tensor,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
        madc_recording_neuron_id: int = 0,
        madc_recording_path: str = "",
    ) -> Tensor:
        readouts = real.matmul(
            input,
            other,
            num_sends,
            wait_between_events,
            mock,
            madc_recording_neuron_id,
            madc_recording_path,
        )
        return readouts[..., :-1] if faults.wrong_shape and not mock else readouts

    def mac(
        x: Tensor,
        weights: Tensor,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
        madc_recording_neuron_id: int = 0,
        madc_recording_path: str = "",
    ) -> Tensor:
        return real.mac(
            x,
            weights,
            num_sends,
            wait_between_events,
            mock,
            madc_recording_neuron_id,
            madc_recording_path,
        )

    def add(input: Tensor, other: Tensor, alpha: int = 1, mock: bool = False) -> Tensor:  # noqa: A002 hxtorch's
        return real.add(input, other, alpha, mock)

    def relu(input: Tensor, mock: bool = False) -> Tensor:  # noqa: A002 hxtorch's
        return real.relu(input, mock)

    def converting_relu(input: Tensor, shift: int = 2, mock: bool = False) -> Tensor:  # noqa: A002 hxtorch's
        return real.converting_relu(input, shift, mock)

    def argmax(
        input: Tensor,  # noqa: A002 hxtorch's keyword
        dim: int | None = None,
        keepdim: bool = False,
        mock: bool = False,
    ) -> Tensor:
        return real.argmax(input, dim, keepdim, mock)

    def conv1d(
        input: Tensor,  # noqa: A002 hxtorch's keyword
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int = 1,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
    ) -> Tensor:
        return real.conv1d(input, weight, bias, stride, num_sends, wait_between_events, mock)

    def conv2d(
        input: Tensor,  # noqa: A002 hxtorch's keyword
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
    ) -> Tensor:
        return real.conv2d(input, weight, bias, stride, num_sends, wait_between_events, mock)

    def expanded_conv1d(
        input: Tensor,  # noqa: A002 hxtorch's keyword
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int = 1,
        num_expansions: int = 1,
        num_sends: int = 1,
        wait_between_events: int = 5,
        mock: bool = False,
    ) -> Tensor:
        return real.expanded_conv1d(
            input, weight, bias, stride, num_expansions, num_sends, wait_between_events, mock
        )

    def inference_trace(input: Tensor, filename: str) -> Tensor:  # noqa: A002 hxtorch's
        return real.inference_trace(input, filename)

    def get_mock_parameter() -> Any:
        return real.get_mock_parameter()

    def set_mock_parameter(parameter: Any) -> None:
        real.set_mock_parameter(parameter)

    def measure_mock_parameter() -> Any:
        return real.measure_mock_parameter()

    module = ModuleType("hxtorch.perceptron")
    functions = [matmul, mac, add, relu, converting_relu, argmax, conv1d, conv2d, expanded_conv1d]
    functions += [inference_trace, get_mock_parameter, set_mock_parameter, measure_mock_parameter]
    module.__dict__.update({function.__name__: function for function in functions})
    module.__dict__.update(
        InferenceTracer=real.InferenceTracer, MockParameter=real.MockParameter, constants=constants, nn=nn
    )
    return module


def time_out() -> Exception:
    """What a connection that is slow for once raises."""
    return TimeoutError("no answer from the chip within 10 s")


def network_step(perceptron: Any, *, mock: bool) -> Tensor:
    """A small layer's readouts, `(3, 5)`, as learning computes them."""
    layer = perceptron.nn.Linear(7, 5, num_sends=1, mock=mock)
    with torch.no_grad():
        readouts: Tensor = layer(torch.full((3, 7), 4.0))
    return readouts
