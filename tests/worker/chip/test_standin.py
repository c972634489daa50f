"""The stand-in is as strict as hxtorch, and the chip door uses nothing that hxtorch does not have."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

import hxtorch_emulator as emulator
import worker.chip
from tests.worker.chip.standin import Faults
from worker.chip.hxtorch_connection import import_hxtorch

OF_HXTORCH = {
    "CalibrationPath": "(value)",
    "HWDBPath": "(path=None, version='stable/latest')",
    "init_hardware": "(hwdb_path=None, ann=False, *, calibration_path=None)",
    "init_hardware_minimal": "()",
    "release_hardware": "()",
    "get_unique_identifier": "(hwdb_path=None)",
}
_MADC = "madc_recording_neuron_id=0, madc_recording_path=''"
OF_PERCEPTRON = {
    "matmul": f"(input, other, num_sends=1, wait_between_events=5, mock=False, {_MADC})",
    "mac": f"(x, weights, num_sends=1, wait_between_events=5, mock=False, {_MADC})",
    "add": "(input, other, alpha=1, mock=False)",
    "relu": "(input, mock=False)",
    "converting_relu": "(input, shift=2, mock=False)",
    "argmax": "(input, dim=None, keepdim=False, mock=False)",
    "conv1d": "(input, weight, bias=None, stride=1, num_sends=1, wait_between_events=5, mock=False)",
    "conv2d": "(input, weight, bias=None, stride=1, num_sends=1, wait_between_events=5, mock=False)",
    "expanded_conv1d": (
        "(input, weight, bias=None, stride=1, num_expansions=1, num_sends=1, wait_between_events=5, mock=False)"
    ),
    "InferenceTracer": "(filename)",
    "inference_trace": "(input, filename)",
    "MockParameter": "(noise_std=2.0, gain=0.002)",
    "get_mock_parameter": "()",
    "set_mock_parameter": "(parameter)",
    "measure_mock_parameter": "()",
}
"""Names and signatures. Source: hxtorch at commit 3bfc7aa."""


def _signature(callable_: Any) -> str:
    parameters = inspect.signature(callable_).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain))


@pytest.mark.usefixtures("faults")
@pytest.mark.parametrize("name", OF_HXTORCH)
def test_stand_in_and_emulator_open_and_close_as_hxtorch_does(name: str) -> None:
    hxtorch, _ = import_hxtorch()

    assert _signature(getattr(hxtorch, name)) == OF_HXTORCH[name]
    assert _signature(getattr(emulator, name)) == OF_HXTORCH[name]


@pytest.mark.usefixtures("faults")
@pytest.mark.parametrize("name", OF_PERCEPTRON)
def test_stand_in_and_emulator_compute_as_hxtorch_does(name: str) -> None:
    _, perceptron = import_hxtorch()

    assert _signature(getattr(perceptron, name)) == OF_PERCEPTRON[name]
    assert _signature(getattr(emulator.perceptron, name)) == OF_PERCEPTRON[name]


@pytest.mark.usefixtures("faults")
def test_the_stand_in_takes_no_other_argument_and_has_no_other_name() -> None:
    hxtorch, perceptron = import_hxtorch()

    with pytest.raises(TypeError):
        perceptron.matmul(torch.ones(2, 3), torch.ones(3, 4), sends=2)
    with pytest.raises(TypeError):
        hxtorch.init_hardware(None, False, 1)
    with pytest.raises(AttributeError):
        hxtorch.choose_chip(None)


def test_the_chip_door_uses_only_names_that_hxtorch_has() -> None:
    used = _names_used("hxtorch"), _names_used("perceptron")

    assert used[0] <= OF_HXTORCH.keys()
    assert used[1] <= OF_PERCEPTRON.keys() | {"nn", "constants"}
    assert "init_hardware" in used[0]
    assert "matmul" in used[1]


def test_a_faulty_chip_recovers_when_it_is_opened_afresh(faults: Faults) -> None:
    hxtorch, perceptron = import_hxtorch()
    hxtorch.init_hardware()
    faults.is_lost = True

    with pytest.raises(RuntimeError, match="no response"):
        perceptron.matmul(torch.ones(2, 3), torch.ones(3, 4))

    hxtorch.init_hardware()
    assert perceptron.matmul(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)


def _names_used(module: str) -> set[str]:
    """Attributes that the modules of `worker.chip` ask of anything called `module` or `_module`."""
    used = set()
    for path in Path(worker.chip.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                match node.value:
                    case ast.Name(id=owner) | ast.Attribute(attr=owner) if owner.lstrip("_") == module:
                        used.add(node.attr)
                    case _:
                        pass
    return used
