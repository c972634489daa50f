"""Fixtures for the emulator: the recorded cases of hxtorch's mock, and a clean process state."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import connection, perceptron
from hxtorch_emulator.chip import ChipParameters, VirtualChip
from hxtorch_emulator.perceptron import tracing
from tests.needs import shared_folder


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded case: its settings and its tensors."""

    settings: dict[str, Any]
    tensors: dict[str, torch.Tensor]


class Recordings:
    """All recorded cases, by operation."""

    def __init__(self, folder: Path) -> None:
        self._index = json.loads((folder / "golden.json").read_text())
        with np.load(folder / "golden.npz") as archive:
            self._arrays = {name: archive[name] for name in archive.files}

    @property
    def errors(self) -> dict[str, str]:
        """Name of the exception class by case."""
        return {error["case"]: error["raises"] for error in self._index["errors"]}

    def of(self, operation: str) -> list[Recording]:
        """The cases of one operation; at least one."""
        found = [
            Recording(settings=case, tensors=self._tensors(case["case"]))
            for case in self._index["cases"]
            if case["op"] == operation
        ]
        assert found, operation
        return found

    def _tensors(self, case: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(f"{case}/"): torch.from_numpy(array)
            for name, array in self._arrays.items()
            if name.startswith(f"{case}/")
        }


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    return Recordings(shared_folder("hxtorch-golden"))


@pytest.fixture(autouse=True)
def _clean_process() -> Iterator[None]:
    """Begin with the default chip, closed; leave no mock parameter changed and nothing traced for the next test."""
    torch.manual_seed(0)
    emulator.release_hardware()  # a program in the same process may have chosen a chip of a service
    connection.choose_chip(VirtualChip(connection.DEFAULT_CHIP_ID))
    yield
    emulator.release_hardware()
    perceptron.set_mock_parameter(perceptron.MockParameter())
    tracing._active.clear()


@pytest.fixture
def _noise_free() -> None:
    """The mock without noise, with the default gain."""
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0))


@pytest.fixture
def _quiet_chip() -> None:
    """An open chip without noise: the same inputs give the same readouts."""
    connection.choose_chip(VirtualChip("quiet", ChipParameters(noise_std_lsb=0.0), clock=lambda: 1e9))
    emulator.init_hardware()
